import type { Batch, Cell } from '../contract/index.js';

/** Gives the keys of a batch back. */
export type Release = () => void;

/**
 * Keeps the order of records that share a key. Batches are written in parallel, and one that is tried again comes after
 * those that were behind it; so a batch is held back while an earlier one that has a key of its own is in flight. What is
 * settled then never lies behind what is not, key by key, and a resume that fills a hole puts no old value over a new one.
 * Keys are told apart by their text, through 53-bit hashes: two keys of one hash cost a wait, not the order.
 */
export class KeyOrder {
  readonly #key: readonly string[];
  readonly #inFlight = new Set<number>();
  #wake: Release | undefined;

  /** `key` are columns of the batches. */
  constructor(key: readonly string[]) {
    this.#key = key;
  }

  /** Waits until no key of the batch is in flight. One caller at a time. @throws the signal's reason when aborted. */
  async claim(batch: Batch, signal: AbortSignal): Promise<Release> {
    const hashes = hashesOf(batch, this.#key);
    while (hashes.some((hash) => this.#inFlight.has(hash))) {
      signal.throwIfAborted();
      await this.#released(signal);
    }
    for (const hash of hashes) this.#inFlight.add(hash);
    return () => {
      for (const hash of hashes) this.#inFlight.delete(hash);
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

function hashesOf(batch: Batch, key: readonly string[]): number[] {
  const at = key.map((name) => batch.columns.indexOf(name));
  const cells: Cell[] = new Array(batch.columns.length);
  const hashes: number[] = [];
  for (let row = 0; row < batch.rows; row++) {
    if (batch.refused.has(row) || batch.duplicates.has(row) || batch.cells(row, cells)) continue;
    let hash = 0;
    for (const index of at) hash = textHash(textOf(cells[index]), hash);
    hashes.push(hash);
  }
  return hashes;
}

function textOf(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  return cell instanceof Date ? cell.toISOString() : String(cell);
}

/** Two 32-bit multiplicative hashes of the text's UTF-16 units, mixed at the end (as MurmurHash3's finalizer), 53 bits of them. */
function textHash(text: string, seed: number): number {
  let low = 0xdeadbeef ^ seed;
  let high = 0x41c6ce57 ^ seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x9e3779b1);
    high = Math.imul(high ^ unit, 0x5f356495);
  }
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  return (high & 0x1fffff) * 0x1_0000_0000 + (low >>> 0);
}
