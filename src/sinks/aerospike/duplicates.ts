/** Finds keys that come more than once in a batch, by their digests. Used again for the next batch. */
export class DigestTable {
  #slots = new Int32Array(0);
  #words = new Int32Array(0);
  #last = 0;

  begin(rows: number): void {
    const wanted = 2 ** Math.ceil(Math.log2(Math.max(16, rows * 2)));
    if (this.#slots.length < wanted) {
      this.#slots = new Int32Array(wanted);
      this.#words = new Int32Array(rows * 5);
    } else {
      this.#slots.fill(0);
      if (this.#words.length < rows * 5) this.#words = new Int32Array(rows * 5);
    }
  }

  /** The row that has this digest already; -1 when it was new, and now is this row's. */
  claim(row: number, digest: Int32Array): number {
    const slots = this.#slots;
    const words = this.#words;
    const mask = slots.length - 1;
    for (let slot = digest[1]! & mask; ; slot = (slot + 1) & mask) {
      const holder = slots[slot]! - 1;
      if (holder < 0) {
        slots[slot] = row + 1;
        this.#last = slot;
        for (let i = 0; i < 5; i++) words[row * 5 + i] = digest[i]!;
        return -1;
      }
      let i = 0;
      while (i < 5 && words[holder * 5 + i] === digest[i]) i += 1;
      if (i === 5) return holder;
    }
  }

  /** Takes back the claim that was made last: its row is not written after all. */
  withdraw(): void {
    this.#slots[this.#last] = 0;
  }
}
