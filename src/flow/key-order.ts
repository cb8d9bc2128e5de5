import { setImmediate as turn } from 'node:timers/promises';
import type { SlicedBatch } from './batch.js';
import { hashKeys, type KeyHashes } from './key-hashes.js';
import { KeyTable } from './key-table.js';

/** Gives the keys of a batch back. */
export type Release = () => void;

/**
 * Keeps the order of records that share a key. Batches are written in parallel, and one that is tried again comes after
 * those that were behind it; so a batch is held back while an earlier one that has a key of its own is in flight. What is
 * settled then never lies behind what is not, key by key, and a resume that fills a hole puts no old value over a new one.
 * Keys are told apart by their text, through 64-bit hashes: two keys of one hash cost a wait, not the order.
 */
export class KeyOrder {
  readonly #key: readonly string[];
  readonly #inFlight = new KeyTable();
  #wake: Release | undefined;

  /** `key` are columns of the batches. */
  constructor(key: readonly string[]) {
    this.#key = key;
  }

  /** Waits until no key of the batch is in flight. One caller at a time. @throws the signal's reason when aborted. */
  async claim(batch: SlicedBatch, signal: AbortSignal): Promise<Release> {
    const hashes = await hashesOf(batch, this.#key);
    while (this.#inFlight.holdsAny(hashes)) {
      signal.throwIfAborted();
      await this.#released(signal);
    }
    const holder = this.#inFlight.hold(hashes);
    return () => {
      this.#inFlight.release(holder);
      this.#wake?.();
    };
  }

  #released(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', wake);
        this.#wake = undefined;
        resolve();
      };
      signal.addEventListener('abort', wake, { once: true });
      this.#wake = wake;
    });
  }
}

async function hashesOf(batch: SlicedBatch, key: readonly string[]): Promise<KeyHashes> {
  const hashing = hashKeys(batch, key);
  for (;;) {
    const { done, value } = hashing.next();
    if (done) return value;
    await turn();
  }
}
