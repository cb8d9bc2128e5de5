import { approximateBytes } from './approximate-bytes.js';

/** A group of single records is whole at the first of these. */
export const maxRows = 1_000;
const maxBytes = 256 * 1024;

/** Gathers what an iterable gives: single records into groups, arrays as they are. */
export class Grouping {
  #groups: (readonly unknown[])[] = [];
  #open: unknown[] = [];
  #rows = 0;
  #bytes = 0;

  /** True when what is gathered ought to be taken before more is added. */
  get full(): boolean {
    return this.#rows >= maxRows || this.#bytes >= maxBytes;
  }

  get empty(): boolean {
    return this.#rows === 0;
  }

  add(item: unknown): void {
    if (Array.isArray(item)) {
      this.#close();
      if (item.length > 0) this.#groups.push(item);
      this.#rows += item.length;
      return;
    }
    if (this.#rows % 64 === 0) this.#bytes += 64 * approximateBytes(item);
    this.#open.push(item);
    this.#rows++;
  }

  /** Everything gathered, in order; begins anew. */
  take(): readonly (readonly unknown[])[] {
    this.#close();
    const groups = this.#groups;
    this.#groups = [];
    this.#rows = 0;
    this.#bytes = 0;
    return groups;
  }

  #close(): void {
    if (this.#open.length === 0) return;
    this.#groups.push(this.#open);
    this.#open = [];
  }
}
