import { randomBytes } from 'node:crypto';
import type { GateReport, Report, Scratch, Source } from '../contract/index.js';
import { SluiceError } from '../errors.js';
import { load } from '../flow/load.js';
import { LoadError } from '../flow/load-error.js';
import type { LoadOptions } from '../flow/options.js';
import { Writes } from './writes.js';

/** What of a job has a part in how fast it is written. */
export type WriteSide = Pick<
  LoadOptions,
  'columns' | 'maxWorkers' | 'batchRows' | 'batchTime' | 'ignoreExtra' | 'limit'
>;

/** How one load is to be tried. */
export interface TrialRequest {
  /** Undefined: as the gate finds it. */
  readonly workers: number | undefined;
  /** Rows a batch; in place of what the job says. */
  readonly batchRows?: number;
  /** No more is read after so long. */
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** How one load into a scratch copy went. */
export interface Trial {
  readonly workers: number | undefined;
  readonly rows: number;
  /** From the first batch to the last, the making of connections and the gate's climb included. */
  readonly seconds: number;
  /** Milliseconds a row. */
  readonly p99: number;
  readonly rejected: number;
  /** Seconds of the load before the first batch and after the last. */
  readonly overhead: number;
  readonly gate: GateReport;
  /** Time was up before all was read. */
  readonly cut: boolean;
}

/** A load that is still at work so many times its seconds after its start is ended. */
const overtime = 3;

/**
 * Loads from `source` (disposed at the end) into a new scratch copy, for so long at most.
 * @throws LoadError when it fails; SluiceError `too-slow` when not even one batch was written in time.
 */
export async function tryOut(
  source: Source,
  scratch: Scratch,
  writeSide: WriteSide,
  { workers, batchRows, seconds, signal }: TrialRequest,
): Promise<Trial> {
  signal.throwIfAborted();
  const run = `sluice-trial-${randomBytes(8).toString('hex')}`;
  const writes = new Writes();
  const copy = await scratch.copy(run).catch(async (error: unknown) => {
    await source[Symbol.asyncDispose]();
    throw error;
  });
  const sink = writes.watch(copy);
  const drain = AbortSignal.timeout(seconds * 1000);
  const late = AbortSignal.timeout(seconds * 1000 * overtime);
  const report = await ended(
    load({
      ...writeSide,
      source,
      sink,
      run,
      maxErrors: '100%',
      drain,
      signal: AbortSignal.any([signal, late]),
      ...(workers !== undefined && { workers }),
      ...(batchRows !== undefined && { batchRows }),
    }),
    late,
    signal,
  );
  if (writes.rows === 0 || writes.seconds === 0) {
    throw new SluiceError(
      'too-slow',
      `not one batch was written within ${seconds * overtime} s: give it longer by --seconds`,
    );
  }
  return {
    workers,
    rows: writes.rows,
    seconds: writes.seconds,
    p99: writes.p99,
    rejected: report.rejected,
    overhead: Math.max(0, report.seconds - writes.seconds),
    gate: report.gate,
    cut: report.status === 'interrupted',
  };
}

/** The report, also of a load that was ended because time was up. */
async function ended(loading: Promise<Report>, late: AbortSignal, signal: AbortSignal): Promise<Report> {
  try {
    return await loading;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (late.aborted && error instanceof LoadError) return error.report;
    throw error;
  }
}

/** Rows a second. */
export function rateOf({ rows, seconds }: Pick<Trial, 'rows' | 'seconds'>): number {
  return rows / seconds;
}
