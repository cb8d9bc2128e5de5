import { availableParallelism } from 'node:os';
import type { Ledger, Log, Sink, Snapshot, Source } from '../contract/index.js';
import { ConfigError } from '../errors.js';
import type { Columns } from './mapping.js';
import { RejectBudget } from './reject-budget.js';
import type { VerifyLevel } from './verify.js';

export interface LoadOptions {
  readonly source: Source;
  readonly sink: Sink;
  /** What is written to which column. Default: names match names. */
  readonly columns?: Columns;
  /** Batches in flight at once. Default: cores x 4, and never more than the target has free. */
  readonly workers?: number;
  /** Rows a batch at most. Default: as many as fit into its bytes, 256 KiB to 4 MiB by the number of workers. */
  readonly batchRows?: number;
  /** Stop reading after this many records. */
  readonly limit?: number;
  /** Rejects allowed: a count, or a share of the rows read so far such as `1%` (judged after 1,000). Default 100. */
  readonly maxErrors?: number | `${number}%`;
  /** Drop fields the target has no column for. Default false: an unknown field is an error. */
  readonly ignoreExtra?: boolean;
  /** Folder for rejects.ndjson and report.json; made when missing. Default: none. */
  readonly runDir?: string;
  /**
   * Go on where an earlier run of the same job stopped: its latest (`true`; the first is started when there is none), or
   * the one of this name. Needs a ledger. Default false: a new run.
   */
  readonly resume?: boolean | string;
  /** Resume although the source is no longer what it was. Default false. */
  readonly force?: boolean;
  /** Wait while another holder runs the same job. Default false: an error that names the holder. */
  readonly wait?: boolean;
  /** Name for the run, if a new one is started. Default: one made of the time and a few random digits. */
  readonly run?: string;
  /**
   * Read back after the load, and compare in the target itself: `count` the rows, `sample` 1,000 records spread over the
   * source, `full` all of them, for which the source is read again. What is missing or different fails the load with
   * `verify-failed`. Default `none`.
   */
  readonly verify?: VerifyLevel;
  /**
   * Where account is kept of what is written, for a sink that does not do so itself, such as `fileLedger(folder)`. Default:
   * the sink's own, or none.
   */
  readonly ledger?: Ledger;
  /** Abandons the load at once; what is committed stays. */
  readonly signal?: AbortSignal;
  /** Stops reading, finishes what was read, and ends as `interrupted`. */
  readonly drain?: AbortSignal;
  /**
   * Milliseconds until the process is ended from outside, asked again and again. The load stops taking work early enough, by
   * the times its batches and commits take, and ends as `interrupted` before none are left. Default: no end.
   */
  readonly remaining?: () => number;
  readonly log?: Log;
  /** Called once the ledger has begun the run or gone on with it, before anything is written. Not without a ledger. */
  readonly onBegin?: (begun: { readonly run: string; readonly resumed: boolean }) => void;
  /** Called when another holder has the job and is waited for, with a message that names it. */
  readonly onWait?: (message: string) => void;
  /** Called every 100 ms while the load runs, and once at its end. When it throws, that is logged, and it is not called again. */
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
  if (options.ledger !== undefined && options.ledger.settle === undefined) {
    throw new ConfigError(
      'bad-option',
      'ledger is one that only its own sink can settle in: give one such as fileLedger',
    );
  }
  return {
    workers: wholeNumber('workers', options.workers) ?? availableParallelism() * 4,
    batchRows: wholeNumber('batchRows', options.batchRows) ?? Number.POSITIVE_INFINITY,
    limit: wholeNumber('limit', options.limit),
    budget: new RejectBudget(options.maxErrors ?? 100),
  };
}

function wholeNumber(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) return value;
  throw new ConfigError('bad-option', `${name} is ${value}: give a whole number from 1 up`);
}
