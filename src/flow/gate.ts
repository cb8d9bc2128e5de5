import { availableParallelism } from 'node:os';
import type { GateEvent, SinkTraits } from '../contract/index.js';
import { causesOf, messageOf } from '../errors.js';
import type { AdaptiveOptions } from '../gate/adaptive.js';
import type { Settings } from './options.js';

const mebibyte = 1024 * 1024;
/** Bytes of a batch, where the sink takes that. */
const leastBatch = mebibyte / 4;
const mostBatch = 8 * mebibyte;
/** Bytes of all batches in flight together: to begin with where their number is given, where it is to be found, and at most. */
const usualInFlight = 8 * mebibyte;
const climbInFlight = 4 * mebibyte;
const mostInFlight = 16 * mebibyte;

/** Batches in flight for each core that a load begins with: few and small ones, so that the gate soon knows where to turn to. */
const startPerCore = 2;

/** Of a batch of decoded records, which take several times the memory of the text they were made of. */
const leastDecoded = 2 * mebibyte;

/** How many batches in flight a load begins with, and how many it may come to. */
export interface Workers {
  readonly start: number;
  readonly most: number;
}

/**
 * The workers that are asked for, as far as the target has as many connections free (undefined: it has no such bound) and memory
 * has room for as many batches.
 */
export function workersFor({ workers, maxWorkers }: Settings, free = Number.POSITIVE_INFINITY): Workers {
  const bound = Math.max(1, free);
  const most = Math.min(bound, workers ?? maxWorkers ?? mostInFlight / leastBatch);
  return { start: Math.min(most, workers ?? availableParallelism() * startPerCore), most };
}

/** What the gate of a load is to find, and within which bounds. */
export function gateOptions(
  { workers: fixedWorkers, batchRows, batchTime }: Pick<Settings, 'workers' | 'batchRows' | 'batchTime'>,
  workers: Workers,
  traits: SinkTraits,
  onEvent: (event: GateEvent) => void,
): AdaptiveOptions {
  const most = Math.min(mostBatch, traits.maxBatchBytes);
  const least = Math.min(leastBatch, most);
  // Few workers are given large batches, for each ends in a commit that nothing else fills the wait of.
  const inFlight = fixedWorkers === undefined ? climbInFlight : usualInFlight;
  const start = Math.min(most, Math.max(least, Math.floor(inFlight / workers.start)));
  return {
    knobs: [
      ...(fixedWorkers === undefined ? (['workers'] as const) : []),
      ...(batchRows === undefined ? (['batch'] as const) : []),
    ],
    workers,
    batch: { start, least, most, inFlight: mostInFlight },
    batchTime,
    onEvent,
  };
}

/** Bytes that a batch of decoded records may have, with so many of them in flight. */
export function decodedBytes(workers: number): number {
  return Math.max(leastDecoded, Math.min(mostBatch, Math.floor(usualInFlight / workers)));
}

/** What the target said when it turned a batch away, by the innermost error that bears a code: `53300 sorry, too many clients`. */
export function throttleReason(error: unknown): string {
  let reason = messageOf(error);
  for (const link of causesOf(error)) {
    if ('code' in link && typeof link.code === 'string') reason = `${link.code} ${messageOf(link)}`;
  }
  return reason.slice(0, 200);
}
