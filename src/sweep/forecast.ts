import type { Predicted } from '../contract/index.js';

/** What a forecast is made of. */
export interface Measured {
  /** Rows of the whole source. */
  readonly rows: number;
  /** Their number was reckoned from bytes. */
  readonly reckoned: boolean;
  /** Seconds around the writing: connecting, the first records, closing. */
  readonly overhead: number;
  /** Rows a second, one for each of at least two loads that were tried. */
  readonly rates: readonly number[];
}

/**
 * Student's t for a two-sided interval of 90 %, by degrees of freedom from 1 up (NIST/SEMATECH e-Handbook of Statistical Methods,
 * 1.3.6.7.2, column 0.95).
 */
const student = [6.314, 2.92, 2.353, 2.132, 2.015];
/** What short loads into an empty copy can't see (a table that grows, checkpoints, neighbours), as a share of the time. */
const unseen = 0.15;
/** How far off a number of rows is that was reckoned from the bytes of the first ones, as a share. */
const unknownRows = 0.05;

/**
 * How long a load will take: the time at the geometric mean of the rates, and an interval that 9 of 10 loads are to fall into, made
 * of how much the rates differ (a prediction interval in the logarithm, for rates differ by shares) and of what they can't show.
 */
export function forecast({
  rows,
  reckoned,
  overhead,
  rates,
}: Measured): Pick<Predicted, 'rows' | 'seconds' | 'least' | 'most'> {
  const logs = rates.map(Math.log);
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1);
  const t = student[Math.min(logs.length - 1, student.length) - 1] ?? student[0]!;
  const spread = t * Math.sqrt(variance * (1 + 1 / logs.length));
  const share = Math.hypot(spread, unseen, reckoned ? unknownRows : 0);
  const writing = rows / Math.exp(mean);
  return {
    rows,
    seconds: overhead + writing,
    least: overhead + writing * Math.exp(-share),
    most: overhead + writing * Math.exp(share),
  };
}
