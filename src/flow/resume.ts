import type { Checkpoint, Split } from '../contract/index.js';
import { SourceError } from '../errors.js';
import type { RangeSet } from '../ledger/range-set.js';
import type { Arrival } from './batcher.js';

/** The parts of an arrival that no earlier part of the run has settled. */
export function* unsettled(arrival: Arrival, settled: RangeSet | undefined): IterableIterator<Arrival> {
  if (settled === undefined) {
    yield arrival;
    return;
  }
  const { from, rows } = arrival.chunk.span;
  for (const part of settled.missing(from, from + rows)) {
    yield { ...arrival, first: part.from - from, last: part.to - from };
  }
}

/**
 * What was read must be what was read.
 * @throws SourceError `source-changed` when a split is not what it was when the run began.
 */
export function refuseChanged(splits: readonly Split[], before: Checkpoint): void {
  const now = new Map(splits.map((split) => [split.id, split.fingerprint]));
  for (const [id, fingerprint] of Object.entries(before.fingerprints)) {
    const present = now.get(id);
    if (present === fingerprint) continue;
    const what = now.has(id) ? 'is not what it was' : 'is gone';
    throw new SourceError(
      'source-changed',
      `${id} ${what} when run ${before.run} began, so its row numbers mean nothing any more: start a new run, or resume with force if you know that its settled rows are the same`,
    );
  }
}
