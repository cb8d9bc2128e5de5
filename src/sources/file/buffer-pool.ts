/** Free buffers that are kept for the next read; more than these are left to the garbage collector. */
const kept = 64;

/**
 * Buffers for reading, used again once nobody looks at their bytes any more. Memory outside JavaScript's heap is given back
 * late by the garbage collector: without the pool a load of any length grows by the 64 MB that V8 lets pile up.
 */
export class BufferPool {
  readonly #size: number;
  readonly #free: ArrayBuffer[] = [];
  readonly #lent = new WeakSet<ArrayBufferLike>();

  /** Of buffers of `size` bytes. */
  constructor(size: number) {
    this.#size = size;
  }

  /** A buffer whose bytes are whatever they were. It is the caller's, whether it ever comes back or not. */
  take(): Buffer {
    const memory = this.#free.pop() ?? new ArrayBuffer(this.#size);
    this.#lent.add(memory);
    return Buffer.from(memory);
  }

  /** Whether bytes lie in a buffer of this pool that has not come back. */
  lent(bytes: Uint8Array): boolean {
    return this.#lent.has(bytes.buffer);
  }

  /** Takes the buffer under these bytes back; the bytes may change from now on. A second time does nothing. */
  giveBack(bytes: Uint8Array): void {
    const memory = bytes.buffer;
    if (!this.#lent.delete(memory) || !(memory instanceof ArrayBuffer) || this.#free.length >= kept) return;
    this.#free.push(memory);
  }
}
