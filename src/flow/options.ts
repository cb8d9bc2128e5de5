import { availableParallelism } from 'node:os';
import type { Log, Sink, Snapshot, Source } from '../contract/index.js';
import { ConfigError } from '../errors.js';
import type { Columns } from './mapping.js';
import { RejectBudget } from './reject-budget.js';

export interface LoadOptions {
  readonly source: Source;
  readonly sink: Sink;
  /** What is written to which column. Default: names match names. */
  readonly columns?: Columns;
  /** Batches in flight at once. Default: cores x 4, and never more than the target has free. */
  readonly workers?: number;
  /** Rows a batch at most. Default 10,000. */
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

/** Options checked, with their defaults. */
export interface Settings {
  readonly workers: number;
  readonly batchRows: number;
  readonly limit: number | undefined;
  readonly budget: RejectBudget;
}

/** @throws ConfigError that names the option and what it takes. */
export function checkOptions(options: LoadOptions): Settings {
  return {
    workers: wholeNumber('workers', options.workers) ?? availableParallelism() * 4,
    batchRows: wholeNumber('batchRows', options.batchRows) ?? 10_000,
    limit: wholeNumber('limit', options.limit),
    budget: new RejectBudget(options.maxErrors ?? 100),
  };
}

function wholeNumber(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) return value;
  throw new ConfigError('bad-option', `${name} is ${value}: give a whole number from 1 up`);
}
