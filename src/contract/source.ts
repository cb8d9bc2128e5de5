import type { Chunk, ResumePoint } from './chunk.js';
import type { Context } from './context.js';
import type { Ledger } from './ledger.js';
import type { Row } from './record.js';

/** A part of a source that can be read alone. */
export interface Split {
  /** Stable from run to run: a path, a listing's address. No secrets. */
  readonly id: string;
  /** Rows it will give, where that is known before reading. */
  readonly rows?: number;
  /** Bytes it will read, where that is known before reading. */
  readonly bytes?: number;
  /** Names of its fields, where they are known before reading: a CSV file's header. */
  readonly fields?: readonly string[];
  /** What changes when the split's content does; undefined where nothing of the kind is known. */
  readonly fingerprint?: string;
}

/** Something noticed about the source, by a stable name, that a user should know. */
export interface Problem {
  /** Kebab-case and stable, such as `ignored-offset`. */
  readonly name: string;
  readonly message: string;
  /** True when the source can no longer be proven to have been read whole: the run then is `incomplete`. */
  readonly incomplete: boolean;
}

export interface ReadContext extends Context {
  /** The target's key of a record as one comparable string; undefined when a part of the key is missing. */
  readonly keyOf?: (record: Row) => string | undefined;
  /**
   * Reading on must give the very rows that were there before, for what is written can't be written again: a source that
   * changes by nature throws SourceError `source-changed` when it can't show that it did not.
   */
  readonly strict?: boolean;
  /** Rows wanted in all; a source may fetch less ahead because of it. */
  readonly limit?: number;
  /** Counts records that are not given, for an earlier run settled them. */
  skipped?(rows: number): void;
  /** The load's ledger, where it has one; for a source of what was loaded before. */
  readonly ledger?: Ledger | undefined;
  /** Reports a problem; the same name twice is counted, and the first message kept. */
  problem(problem: Problem): void;
}

/**
 * Where records come from. Life: `splits` once, `read` for each split in turn, then disposed, whatever happened.
 */
export interface Source extends AsyncDisposable {
  /** The name users know it by: `http`, `file`, `iterable`. */
  readonly name: string;
  /** What is read, stable from run to run, without secrets: part of the job's identity, shown in the report. */
  readonly identity: string;
  /** Its records can be read once only: standard input, a generator. Default false. */
  readonly once?: boolean;
  splits(context: ReadContext): AsyncIterable<Split>;
  /**
   * Chunks of whole records in row order, from `from` (or from the start).
   * Throws SourceError when the source can't be read on; what was yielded before stays good.
   * A consumer that stops early ends the iteration; the source then lets go of sockets and files.
   */
  read(split: Split, from: ResumePoint | undefined, context: ReadContext): AsyncIterable<Chunk>;
}
