import type { Scratch } from '../contract/index.js';
import { messageOf, SluiceError } from '../errors.js';
import { LoadError } from '../flow/load-error.js';
import { type Curve, curveOf } from './curve.js';
import { type Sample, sampleSource } from './sample.js';
import { type Trial, tryOut, type WriteSide } from './trial.js';

/** Counts that are tried when none are named. */
export const usualCounts = [1, 2, 4, 8, 16, 20, 32, 60] as const;

/** Every count is tried so often at least; and, while the shortest was tried for less than so many seconds, so often at most. */
const passes = { least: 2, most: 4, enough: 1 };
/** Seconds of the load that is not counted: the first one meets a cold server, and code that was not compiled yet. */
const warmUp = 2;

/** Loads that a sweep over so many counts takes at least: the adaptive ones and the first, which is not counted, among them. */
export function leastLoads(counts: number): number {
  return 1 + passes.least * (counts + 1);
}

/** What is to be compared. */
export interface SweepRequest {
  readonly sample: Sample;
  readonly scratch: Scratch;
  readonly writeSide: WriteSide;
  readonly counts: readonly number[];
  /** Seconds a load at most. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  /** Called before each load. */
  onTrial?(workers: number | undefined, pass: number): void;
}

/** A number of workers with which a load failed. */
interface Failure {
  readonly workers: number | undefined;
  readonly message: string;
}

export interface Sweep {
  readonly curve: Curve;
  /** Those of the adaptive loads: what the gate had come to at the end of each. */
  readonly chosen: readonly { readonly workers: number; readonly batchBytes: number }[];
  readonly failures: readonly Failure[];
  /** The largest share of the records that a load saw refused. */
  readonly rejected: number;
}

/**
 * Writes the sample with each number of workers and with the number the gate finds, each time into a fresh copy of the target,
 * there and back again, so that what changes while it goes on (a server that warms up, a neighbour) falls on all alike.
 * A number that fails is left out from then on.
 * @throws what the first load met, which tells of the job; SluiceError `all-rejected`; and `signal`'s reason.
 */
export async function sweep(request: SweepRequest): Promise<Sweep> {
  const { sample, scratch, writeSide, signal, seconds } = request;
  const attempt = async (workers: number | undefined, longest: number): Promise<Trial> =>
    await tryOut(sampleSource(sample), scratch, writeSide, { workers, seconds: longest, signal });
  const first = await attempt(undefined, Math.min(seconds, warmUp));
  if (first.rejected === first.rows) {
    throw new SluiceError(
      'all-rejected',
      'each record of the sample was refused, so there is nothing to measure: try the job with --dry-run or --limit, and see its rejects',
    );
  }
  const half = request.counts.length >> 1;
  const contenders = new Set<number | undefined>([
    ...request.counts.slice(0, half),
    undefined,
    ...request.counts.slice(half),
  ]);
  const trials: Trial[] = [];
  const failures: Failure[] = [];
  for (let pass = 0; pass < passes.least || (pass < passes.most && shortest(trials) < passes.enough); pass++) {
    const order = pass % 2 === 0 ? [...contenders] : [...contenders].reverse();
    for (const workers of order) {
      request.onTrial?.(workers, pass);
      try {
        trials.push(await attempt(workers, seconds));
      } catch (error) {
        if (signal.aborted || !(error instanceof SluiceError)) throw error;
        contenders.delete(workers);
        failures.push({ workers, message: reasonOf(error) });
      }
    }
    if (![...contenders].some((workers) => workers !== undefined)) throw nothingLeft(failures);
  }
  const whole = trials.filter(({ workers }) => contenders.has(workers));
  return {
    curve: curveOf(whole),
    chosen: whole
      .filter(({ workers }) => workers === undefined)
      .map(({ gate }) => ({ workers: gate.workers.end, batchBytes: gate.batchBytes })),
    failures,
    rejected: Math.max(...whole.map((trial) => trial.rejected / trial.rows)),
  };
}

/** Seconds of the contender that was measured for the least time. */
function shortest(trials: readonly Trial[]): number {
  const times = new Map<number | undefined, number>();
  for (const { workers, seconds } of trials) times.set(workers, (times.get(workers) ?? 0) + seconds);
  return Math.min(...times.values());
}

function reasonOf(error: SluiceError): string {
  return error instanceof LoadError && error.cause !== undefined ? messageOf(error.cause) : error.message;
}

function nothingLeft(failures: readonly Failure[]): SluiceError {
  return new SluiceError('sweep-failed', `no number of workers wrote the sample: ${failures.at(-1)?.message}`);
}
