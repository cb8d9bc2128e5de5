/**
 * Goes on reading while nobody takes yet, until `bytes` are held; gives what it holds before the rest. An error comes after
 * what was read before it.
 */
export class ReadAhead<T extends { readonly bytes: number }> implements AsyncIterable<T> {
  readonly #source: AsyncGenerator<T, void, void>;
  readonly #held: T[];
  /** Asked for, and not held yet. */
  #pending: Promise<IteratorResult<T, void>>;
  #taken = false;
  readonly #filled: Promise<void>;

  /**
   * @param held what was read already, and does not count.
   * @param pending the source's next answer, which was asked for already.
   */
  constructor(
    source: AsyncGenerator<T, void, void>,
    held: readonly T[],
    pending: Promise<IteratorResult<T, void>>,
    bytes: number,
  ) {
    this.#source = source;
    this.#held = [...held];
    this.#pending = pending;
    this.#filled = this.#fill(bytes);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    this.#taken = true;
    try {
      yield* this.#give();
      await this.#filled;
      yield* this.#give();
      const next = await this.#pending;
      if (next.done) return;
      yield next.value;
      yield* this.#source;
    } finally {
      await this.#source.return();
    }
  }

  *#give(): Generator<T, void, void> {
    for (let one = this.#held.shift(); one !== undefined; one = this.#held.shift()) yield one;
  }

  async #fill(bytes: number): Promise<void> {
    for (let held = 0; held < bytes && !this.#taken; ) {
      const next = await this.#pending.catch(() => undefined);
      // An error, or the end: whoever takes meets it.
      if (next === undefined || next.done) return;
      this.#held.push(next.value);
      held += next.value.bytes;
      this.#pending = this.#source.next();
    }
    this.#pending.catch(() => {});
  }
}
