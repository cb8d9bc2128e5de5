/**
 * A channel bounded by bytes, so that memory is a promise: `put` waits while more than `capacity` bytes lie in it. An
 * item larger than the whole capacity goes in alone. One reader, one writer.
 */
export class ByteChannel<Item extends { readonly bytes: number }> {
  readonly #capacity: number;
  readonly #items: Item[] = [];
  #bytes = 0;
  #closed = false;
  #failure: unknown;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Bytes that lie in it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Waits for room. @throws the signal's reason when it is aborted first. */
  async put(item: Item, signal: AbortSignal): Promise<void> {
    while (this.#bytes > 0 && this.#bytes + item.bytes > this.#capacity) {
      signal.throwIfAborted();
      await wait(signal, (wake) => {
        this.#wakeWriter = wake;
      });
    }
    signal.throwIfAborted();
    this.#items.push(item);
    this.#bytes += item.bytes;
    this.#wakeReader?.();
  }

  /** Nothing more will come. What lies in it can still be taken. */
  close(): void {
    this.#closed = true;
    this.#wakeReader?.();
  }

  /** As close, but after the last item `take` throws this. */
  fail(error: unknown): void {
    this.#failure = error;
    this.close();
  }

  /**
   * The next item; undefined after the last. With `patience` (milliseconds), 'late' when none came in time.
   * @throws what the writer failed with, after the last item; the signal's reason when it is aborted first.
   */
  async take(signal: AbortSignal, patience?: number): Promise<Item | 'late' | undefined> {
    const deadline = patience === undefined ? Number.POSITIVE_INFINITY : performance.now() + patience;
    for (;;) {
      signal.throwIfAborted();
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#bytes -= item.bytes;
        this.#wakeWriter?.();
        return item;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#closed) return undefined;
      const left = deadline - performance.now();
      if (left <= 0) return 'late';
      await wait(
        signal,
        (wake) => {
          this.#wakeReader = wake;
        },
        Number.isFinite(left) ? left : undefined,
      );
    }
  }
}

/** Resolves on wake, on abort (the caller looks), or when the time is over. */
function wait(signal: AbortSignal, arm: (wake: () => void) => void, milliseconds?: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = milliseconds === undefined ? undefined : setTimeout(wake, milliseconds);
    function wake() {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      resolve();
    }
    signal.addEventListener('abort', wake, { once: true });
    arm(wake);
  });
}
