/** A run of rows: `[from, to)`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Rows of one split that are settled, as disjoint ranges in order. Concurrent batches finish out of order, so what is
 * done is a set of ranges, never one offset, and does not depend on how large the batches were.
 */
export class RangeSet {
  /** Starts and ends in turn: [from0, to0, from1, to1, ...], strictly rising. */
  #edges: number[] = [];

  /** Adds `[from, to)`. Ranges that touch become one. Returns how many of these rows were not there before. */
  add(from: number, to: number): number {
    if (!(from < to)) return 0;
    const edges = this.#edges;
    let low = lowerBound(edges, from);
    let high = upperBound(edges, to);
    // An odd index lies inside (or at the end of) a range: that range is joined.
    const start = low % 2 === 1 ? edges[--low]! : from;
    const end = high % 2 === 1 ? edges[high++]! : to;
    let known = 0;
    for (let i = low; i < high; i += 2) known += Math.min(edges[i + 1]!, to) - Math.max(edges[i]!, from);
    edges.splice(low, high - low, start, end);
    return to - from - Math.max(known, 0);
  }

  /** Whether a row is in the set. */
  has(row: number): boolean {
    return upperBound(this.#edges, row) % 2 === 1;
  }

  /** The parts of `[from, to)` that are not in the set, in order. */
  *missing(from: number, to: number): IterableIterator<Range> {
    let at = from;
    for (let i = upperBound(this.#edges, from) & ~1; i < this.#edges.length && at < to; i += 2) {
      const start = this.#edges[i]!;
      if (start > at) yield { from: at, to: Math.min(start, to) };
      at = Math.max(at, this.#edges[i + 1]!);
    }
    if (at < to) yield { from: at, to };
  }

  /** The end of the range that holds row 0: everything before it is settled. 0 when row 0 is not. */
  get lowWater(): number {
    return this.#edges[0] === 0 ? this.#edges[1]! : 0;
  }

  /** Rows in the set. */
  get size(): number {
    let size = 0;
    for (const range of this) size += range.to - range.from;
    return size;
  }

  *[Symbol.iterator](): IterableIterator<Range> {
    for (let i = 0; i < this.#edges.length; i += 2) yield { from: this.#edges[i]!, to: this.#edges[i + 1]! };
  }
}

/** Index of the first edge >= value. */
function lowerBound(edges: readonly number[], value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (edges[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the first edge > value. */
function upperBound(edges: readonly number[], value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (edges[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
