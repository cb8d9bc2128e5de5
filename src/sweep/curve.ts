import type { Trial } from './trial.js';

/** A fixed number is at the knee when no other writes so much faster: beyond it, more workers gain little. */
const kneeShare = 0.95;

/** All trials of one number of workers, or of the number the gate finds. */
export interface Point {
  /** Undefined: as the gate found it. */
  readonly workers: number | undefined;
  readonly trials: number;
  /** Rows and seconds of all trials. */
  readonly rows: number;
  readonly seconds: number;
  /** Rows a second. */
  readonly rate: number;
  /** Milliseconds a row; of the trials, the worst. */
  readonly p99: number;
  /** At least one trial was ended before it had written all records. */
  readonly cut: boolean;
}

/** What a sweep found. */
export interface Curve {
  /** By number of workers. */
  readonly fixed: readonly Point[];
  readonly adaptive: Point | undefined;
  /** The fixed number with the highest rate. */
  readonly best: Point;
  /** The least fixed number whose rate is at least 95 % of the best one's. */
  readonly knee: Point;
}

/** @throws RangeError without any trial of a fixed number. */
export function curveOf(trials: readonly Trial[]): Curve {
  const fixed = [...new Set(trials.map(({ workers }) => workers))]
    .filter((workers) => workers !== undefined)
    .sort((a, b) => a - b)
    .map((workers) => pointOf(workers, trials));
  const best = fixed.reduce<Point | undefined>(
    (most, point) => (most && most.rate >= point.rate ? most : point),
    undefined,
  );
  const knee = fixed.find(({ rate }) => best !== undefined && rate >= best.rate * kneeShare);
  if (best === undefined || knee === undefined)
    throw new RangeError('a curve needs a trial of a fixed number of workers');
  const found = trials.some(({ workers }) => workers === undefined);
  return { fixed, adaptive: found ? pointOf(undefined, trials) : undefined, best, knee };
}

function pointOf(workers: number | undefined, trials: readonly Trial[]): Point {
  const own = trials.filter((trial) => trial.workers === workers);
  const rows = own.reduce((sum, trial) => sum + trial.rows, 0);
  const seconds = own.reduce((sum, trial) => sum + trial.seconds, 0);
  return {
    workers,
    trials: own.length,
    rows,
    seconds,
    rate: rows / seconds,
    p99: Math.max(...own.map(({ p99 }) => p99)),
    cut: own.some(({ cut }) => cut),
  };
}
