import type { Span } from '../contract/index.js';
import type { SplitProgress } from '../ledger/progress.js';
import { RangeSet } from '../ledger/range-set.js';

/** Holds what was read against what was settled: every row once, none twice. */
export class Coverage {
  readonly #settled = new Map<string, RangeSet>();
  readonly #read = new Map<string, number>();
  #doubled = 0;

  /** What an earlier part of the run settled. */
  constructor(before: ReadonlyMap<string, SplitProgress> = new Map()) {
    for (const [split, { settled }] of before) {
      const ranges = new RangeSet();
      for (const { from, to } of settled) ranges.add(from, to);
      this.#settled.set(split, ranges);
    }
  }

  /** `split` has been read up to row `to`. */
  read(split: string, to: number): void {
    this.#read.set(split, to);
  }

  settle(spans: readonly Span[]): void {
    for (const { split, from, rows } of spans) {
      const ranges = this.#settled.get(split) ?? new RangeSet();
      this.#settled.set(split, ranges);
      this.#doubled += rows - ranges.add(from, from + rows);
    }
  }

  /** Rows settled, by earlier parts of the run too. */
  get settled(): number {
    let rows = 0;
    for (const ranges of this.#settled.values()) rows += ranges.size;
    return rows;
  }

  /** Rows read that were never settled, and rows settled more than once; both 0 when all is well. */
  get faults(): { readonly lost: number; readonly doubled: number } {
    let lost = 0;
    for (const [split, rows] of this.#read) {
      // What an earlier part of the run settled may lie behind what this one came to read.
      const missing = this.#settled.get(split)?.missing(0, rows) ?? [{ from: 0, to: rows }];
      for (const { from, to } of missing) lost += to - from;
    }
    return { lost, doubled: this.#doubled };
  }
}
