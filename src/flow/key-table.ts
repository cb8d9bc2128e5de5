import type { KeyHashes } from './key-hashes.js';

/** Powers of two, so that a slot is found by a mask. */
const leastSlots = 1024;

/**
 * Which keys are held, and by whom: an open-addressing hash table over typed arrays, for a Set of as many numbers takes
 * several times their memory and time. What a holder gave back stays in its slot, unseen, until the table is made anew.
 */
export class KeyTable {
  readonly #live = new Set<number>();
  #low = new Uint32Array(leastSlots);
  #high = new Uint32Array(leastSlots);
  /** 0 is an empty slot. */
  #holder = new Uint32Array(leastSlots);
  #used = 0;
  #last = 0;

  holdsAny({ low, high }: KeyHashes): boolean {
    if (this.#live.size === 0) return false;
    for (let i = 0; i < low.length; i++) if (this.#holds(low[i]!, high[i]!)) return true;
    return false;
  }

  /** Adds keys that nobody holds, and names their holder, for `release`. */
  hold({ low, high }: KeyHashes): number {
    this.#last = (this.#last + 1) >>> 0 || 1;
    this.#live.add(this.#last);
    this.#makeRoom(low.length);
    for (let i = 0; i < low.length; i++) this.#put(low[i]!, high[i]!, this.#last);
    return this.#last;
  }

  release(holder: number): void {
    this.#live.delete(holder);
    if (this.#live.size > 0) return;
    this.#holder.fill(0);
    this.#used = 0;
  }

  #holds(low: number, high: number): boolean {
    const mask = this.#holder.length - 1;
    for (let at = low & mask; ; at = (at + 1) & mask) {
      const holder = this.#holder[at]!;
      if (holder === 0) return false;
      if (this.#low[at] === low && this.#high[at] === high && this.#live.has(holder)) return true;
    }
  }

  #put(low: number, high: number, holder: number): void {
    const mask = this.#holder.length - 1;
    let at = low & mask;
    while (this.#holder[at] !== 0) {
      // A key that repeats, or that was given back, takes no other slot: nobody holds it.
      if (this.#low[at] === low && this.#high[at] === high) {
        this.#holder[at] = holder;
        return;
      }
      at = (at + 1) & mask;
    }
    this.#low[at] = low;
    this.#high[at] = high;
    this.#holder[at] = holder;
    this.#used++;
  }

  /** Keeps a quarter of the slots empty; where it is made anew, half. */
  #makeRoom(more: number): void {
    if ((this.#used + more) * 4 <= this.#holder.length * 3) return;
    const [low, high, holders] = [this.#low, this.#high, this.#holder];
    let live = 0;
    for (const holder of holders) if (holder !== 0 && this.#live.has(holder)) live++;
    let slots = leastSlots;
    while (slots < (live + more) * 2) slots *= 2;
    this.#low = new Uint32Array(slots);
    this.#high = new Uint32Array(slots);
    this.#holder = new Uint32Array(slots);
    this.#used = 0;
    for (let i = 0; i < holders.length; i++) {
      if (holders[i] !== 0 && this.#live.has(holders[i]!)) this.#put(low[i]!, high[i]!, holders[i]!);
    }
  }
}
