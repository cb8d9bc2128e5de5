import type { Comparison, Guarantee, RunStatus } from './sink.js';
import type { Problem } from './source.js';

/** A problem as reported: how often it was seen. */
export interface ReportedProblem extends Problem {
  readonly count: number;
}

/** What was found when a load was read back. */
export interface Verified extends Comparison {
  readonly level: 'count' | 'sample' | 'full';
}

/** Something the gate changed, and why. */
export interface GateChange {
  /** Since the load began. */
  readonly seconds: number;
  readonly of: 'workers' | 'batch';
  /** Batches in flight, or bytes a batch. */
  readonly from: number;
  readonly to: number;
  /** For a person: `throughput +18 %`, `53300 too_many_connections`. */
  readonly reason: string;
}

/** How many batches were in flight, how large they were, and why. */
export interface GateReport {
  /** Batches in flight at most: at the start, at the end, and the extremes; trials that were taken back not counted. */
  readonly workers: { readonly start: number; readonly end: number; readonly least: number; readonly most: number };
  /** Bytes a batch at most, at the end. */
  readonly batchBytes: number;
  /** In order; of a long run the first and the last hundred. */
  readonly changes: readonly GateChange[];
  /** Changes between those. */
  readonly leftOut: number;
  /** Settings that were tried and taken back. */
  readonly trials: number;
}

/** What a run did. `read = written + unchanged + duplicate + rejected + skipped`, or the status is `failed`. */
export interface Report {
  readonly status: RunStatus;
  readonly run: string;
  readonly job: string;
  readonly source: string;
  readonly sink: string;
  readonly guarantee: Guarantee;
  /** Records that came out of the source, malformed ones and duplicates included. */
  readonly read: number;
  /** Records that were inserted or changed. */
  readonly written: number;
  /** Records the target held already in this form, or kept in its own form (mode ignore). */
  readonly unchanged: number;
  /** Records given more than once, of which one was kept. */
  readonly duplicate: number;
  readonly rejected: number;
  /** Records settled by an earlier run of the same job. */
  readonly skipped: number;
  /** Bytes of the records, as the source counts them. */
  readonly bytes: number;
  /** From the start of the load to its end. */
  readonly seconds: number;
  readonly batches: number;
  readonly retries: number;
  /** Most batches in flight at once that were allowed; trials that were taken back not counted. */
  readonly workers: number;
  readonly gate: GateReport;
  readonly problems: readonly ReportedProblem[];
  /** Only where the load was asked to verify, and came that far. */
  readonly verify?: Verified;
  /** Null when the run has no folder. */
  readonly runDir: string | null;
  /** Null when nothing was rejected or the run has no folder. */
  readonly rejectsFile: string | null;
  readonly startedAt: string;
  readonly endedAt: string;
  /** What ended the run, when it did not end well. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** The figures of a run while it goes on. */
export interface Snapshot {
  readonly read: number;
  readonly written: number;
  readonly unchanged: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly skipped: number;
  /** Rows settled one way or another. */
  readonly settled: number;
  /** Bytes of settled rows. */
  readonly bytes: number;
  readonly seconds: number;
  readonly inFlight: number;
  readonly workers: number;
  /** What the gate changed last, while that is news: `workers 12 -> 16: throughput +18 %`. */
  readonly gateChange: string | undefined;
  readonly retries: number;
  /** Rows there will be in all, where the source knows. */
  readonly totalRows: number | undefined;
  /** Share of the source that was read, 0..1, where it knows its bytes but not its rows. */
  readonly shareRead: number | undefined;
}
