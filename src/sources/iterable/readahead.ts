import { setImmediate as nextTurn } from 'node:timers/promises';
import { Grouping } from './group.js';

/**
 * Reads an async iterable by at most a group ahead of its consumer, so that a slow iterable's records are handed on as
 * they come, a fast one's in whole groups, and no record costs more than its own `next()`.
 */
export class Readahead {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #signal: AbortSignal;
  readonly #gathered = new Grouping();
  #pulling = false;
  #ended = false;
  #failure: { readonly cause: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(records: AsyncIterable<unknown>, signal: AbortSignal) {
    this.#iterator = records[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  async *groups(): AsyncGenerator<readonly unknown[], void> {
    const wake = () => this.#wake?.();
    this.#signal.addEventListener('abort', wake);
    try {
      for (;;) {
        this.#signal.throwIfAborted();
        if (!this.#pulling && !this.#ended) void this.#pull();
        if (this.#gathered.empty && !this.#ended) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#signal.throwIfAborted();
        }
        // What the iterable has at hand comes along, and timers and sockets get their turn.
        await nextTurn();
        if (this.#gathered.empty && this.#ended) break;
        yield* this.#gathered.take();
      }
      if (this.#failure) throw this.#failure.cause;
    } finally {
      this.#signal.removeEventListener('abort', wake);
      await this.#close();
    }
  }

  /** Never rejects: a failure waits until everything before it was taken. */
  async #pull(): Promise<void> {
    this.#pulling = true;
    try {
      while (!this.#gathered.full) {
        const step = await this.#iterator.next();
        if (step.done) {
          this.#ended = true;
          break;
        }
        this.#gathered.add(step.value);
        this.#wake?.();
      }
    } catch (cause) {
      this.#failure = { cause };
      this.#ended = true;
    }
    this.#pulling = false;
    this.#wake?.();
  }

  async #close(): Promise<void> {
    if (this.#ended) return;
    const closed = this.#iterator.return?.();
    // While a next() is pending an async generator can't end, perhaps never: that is not waited for.
    if (this.#pulling) closed?.catch(() => {});
    else await closed;
  }
}
