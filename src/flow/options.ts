import type { Ledger, Log, Predicted, Sink, Snapshot, Source } from '../contract/index.js';
import { ConfigError } from '../errors.js';
import type { Columns } from './mapping.js';
import { checkKinds } from './option-kinds.js';
import { RejectBudget } from './reject-budget.js';
import type { VerifyLevel } from './verify.js';

export interface LoadOptions {
  readonly source: Source;
  readonly sink: Sink;
  /** What is written to which column. Default: names match names. */
  readonly columns?: Columns;
  /**
   * Batches in flight at once, fixed. Default: found while the load runs, from cores x 2 on, and never more than the target
   * has free.
   */
  readonly workers?: number;
  /** Most batches in flight at once, of those that are found. Default: 64. */
  readonly maxWorkers?: number;
  /** Rows a batch at most. Default: as many as do best, of 256 KiB to 8 MiB. */
  readonly batchRows?: number;
  /** Seconds that the writing of one batch is to take at most: batches are made no larger than that allows. Default 1. */
  readonly batchTime?: number;
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
  /** What was reckoned beforehand: the report puts it beside what happened. */
  readonly predicted?: Predicted;
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
  /** Batches in flight: to begin with, and at most. */
  readonly workers: number;
  readonly maxWorkers: number;
  readonly statements: readonly string[];
  readonly notes: readonly string[];
}

/** Options checked, with their defaults. */
export interface Settings {
  /** Undefined: to be found. */
  readonly workers: number | undefined;
  readonly maxWorkers: number | undefined;
  /** Undefined: to be found, by bytes. */
  readonly batchRows: number | undefined;
  /** Milliseconds. */
  readonly batchTime: number;
  readonly limit: number | undefined;
  readonly budget: RejectBudget;
}

/** @throws ConfigError that names the option and what it takes. */
export function checkOptions(options: LoadOptions): Settings {
  checkKinds(options);
  const { sink, ledger, resume = false, force = false, batchTime = 1 } = options;
  if (ledger !== undefined && ledger.settle === undefined) {
    throw wrong('ledger is one that only its own sink can settle in: give one such as fileLedger');
  }
  if (ledger !== undefined && sink.ledger !== undefined) {
    throw wrong(
      `ledger is for a sink that keeps no account itself, and ${sink.name} does: leave it out, or have the sink keep none (ledger: false among its own options)`,
    );
  }
  if (force && resume === false) throw wrong('force goes with resume: it resumes a source that has changed');
  if (!(batchTime > 0)) throw wrong(`batchTime is ${batchTime}: give seconds, more than 0`);
  return {
    workers: wholeNumber('workers', options.workers),
    maxWorkers: wholeNumber('maxWorkers', options.maxWorkers),
    batchRows: wholeNumber('batchRows', options.batchRows),
    batchTime: batchTime * 1000,
    limit: wholeNumber('limit', options.limit),
    budget: new RejectBudget(options.maxErrors ?? 100),
  };
}

function wrong(message: string): ConfigError {
  return new ConfigError('bad-option', message);
}

function wholeNumber(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) return value;
  throw wrong(`${name} is ${value}: give a whole number from 1 up`);
}
