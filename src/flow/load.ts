import type { Log, Report, Sink, Snapshot, Source } from '../contract/index.js';
import { SluiceError } from '../errors.js';
import type { Columns } from './mapping.js';

export interface LoadOptions {
  readonly source: Source;
  readonly sink: Sink;
  /** What is written to which column. Default: names match names. */
  readonly columns?: Columns;
  /** Batches in flight at once. Default: cores x 4, and never more than the target has free. */
  readonly workers?: number;
  /** Rows a batch at most. Default 5,000. */
  readonly batchRows?: number;
  /** Stop reading after this many records. */
  readonly limit?: number;
  /** Rejects allowed: a count, or a share of the rows read so far such as `1%` (judged after 1,000). Default 100. */
  readonly maxErrors?: number | `${number}%`;
  /** Drop fields the target has no column for. Default false: an unknown field is an error. */
  readonly ignoreExtra?: boolean;
  /** Folder for rejects.ndjson and report.json; made when missing. Default: none. */
  readonly runDir?: string;
  /** Abandons the load at once; what is committed stays. */
  readonly signal?: AbortSignal;
  /** Stops reading, finishes what was read, and ends as `interrupted`. */
  readonly drain?: AbortSignal;
  readonly log?: Log;
  /** Called every 100 ms while the load runs, and once at its end. */
  readonly onProgress?: (snapshot: Snapshot) => void;
}

/** What a load would do, from a sample of at most 1,000 records; nothing is changed. */
export interface DryRun {
  readonly job: string;
  readonly source: string;
  readonly sink: string;
  /** Target columns, each with what it is read from. */
  readonly columns: readonly { readonly column: string; readonly from: string }[];
  readonly sampled: number;
  readonly workers: number;
  readonly statements: readonly string[];
  readonly notes: readonly string[];
}

/** A load that did not end well. `report` says how far it came. */
export class LoadError extends SluiceError {
  override readonly name = 'LoadError';
  readonly report: Report;
  constructor(code: string, message: string, report: Report, options?: ErrorOptions) {
    super(code, message, options);
    this.report = report;
  }
}

/**
 * Moves all records of `source` into `sink`; both are disposed at the end, whatever happened.
 * Resolves when every record is accounted for (`complete`, `complete-with-rejects`), or when `drain` asked it to stop
 * (`interrupted`). Throws LoadError otherwise: `failed`, `too-many-rejects`, `incomplete` (the source could not be
 * proven to have been read whole), or `interrupted` by `signal`.
 */
export async function load(_options: LoadOptions): Promise<Report> {
  throw new SluiceError('not-ready', 'load is being built');
}

/** Reads a sample, matches it with the target, and says what `load` would do. */
export async function dryRun(_options: LoadOptions): Promise<DryRun> {
  throw new SluiceError('not-ready', 'dryRun is being built');
}
