import type { ResumePoint, Span } from '../contract/index.js';
import { RangeSet } from './range-set.js';

/** What an earlier part of a run settled of one split. */
export interface SplitProgress {
  readonly settled: RangeSet;
  /**
   * Where reading goes on, which may be the first row, by a token that says what the source looked like; undefined where nothing is
   * known of it. Rows after it may be settled too.
   */
  readonly point: ResumePoint | undefined;
}

/**
 * What a ledger's spans say, split by split. Reading goes on from the latest point that some span names and that lies
 * before the first row that is not settled: spans were settled out of order, and a hole in front of them is still to be read.
 */
export function progressOf(spans: Iterable<Span>): Map<string, SplitProgress> {
  const bySplit = new Map<string, Span[]>();
  for (const span of spans) {
    const known = bySplit.get(span.split);
    if (known) known.push(span);
    else bySplit.set(span.split, [span]);
  }
  const progress = new Map<string, SplitProgress>();
  for (const [split, all] of bySplit) {
    const settled = new RangeSet();
    for (const { from, rows } of all) settled.add(from, from + rows);
    const { lowWater } = settled;
    let point: ResumePoint | undefined;
    for (const { next } of all) {
      // Without a token it is the split's start, for which the source gave none.
      if (next.token !== null && next.row <= lowWater && next.row > (point?.row ?? -1)) point = next;
    }
    progress.set(split, { settled, point });
  }
  return progress;
}
