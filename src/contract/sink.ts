import type { Batch } from './batch.js';
import type { Context } from './context.js';
import type { Ledger } from './ledger.js';
import type { Cell, Reject } from './record.js';

/** How sure a sink can be of one write a record. The report says it in these words. */
export type Guarantee = 'exactly once' | 'idempotent' | 'at least once';

export interface SinkTraits {
  /** Batches the flow makes are never larger than these. */
  readonly maxBatchRows: number;
  readonly maxBatchBytes: number;
  readonly guarantee: Guarantee;
  /** A record written again replaces itself; false where it would be there twice. */
  readonly rewrites: boolean;
}

/** What is about to arrive, known before the first row is sent. */
export interface Intake {
  /** Target columns the mapping yields, in order; of records without a mapping, every field seen in the sample. None when nothing is known. */
  readonly columns: readonly string[];
  /** The first rows, as cells in the order of `columns`. At most 1,000; may be empty. */
  readonly sample: readonly (readonly Cell[])[];
  /** As in Batch. */
  readonly textual: boolean;
  /** The columns are those a mapping names, and not the source's fields by their own names. Default false. */
  readonly mapped?: boolean;
  /** Columns the target does not have are left out of the plan, instead of being an error. */
  readonly ignoreExtra: boolean;
}

/** What the sink would do with this intake. Nothing was changed yet. */
export interface SinkPlan {
  /** Those of the intake's columns that will be written, in the order of the intake. */
  readonly columns: readonly string[];
  /** Columns of the target beyond the intake's that could be written too: a record may have such a field later on. */
  readonly others?: readonly string[];
  /** Connections, or whatever holds one batch each, that the target has free for us; undefined when it has no such bound. */
  readonly free?: number;
  /** What is not there, and can't be made of an intake without columns, for a person to read. */
  readonly unmade?: string;
  /** What would be executed, for a person to read: statements, calls. */
  readonly statements: readonly string[];
  /** Things a person should know before it starts. */
  readonly notes: readonly string[];
}

/** Every row of the batch is in exactly one of these. */
export interface WriteResult {
  /** Rows that are in the target now and were not so before. */
  readonly written: number;
  /** Rows the target held already in this very form, or kept in its own (mode ignore). */
  readonly unchanged: number;
  /** Rows given more than once within the batch, of which one was kept, and the batch's own duplicates. */
  readonly duplicate: number;
  /** Rows refused, those of `batch.refused` included. */
  readonly rejects: readonly Reject[];
}

/** A value, or a whole row, that is not in the target as it was written. Values are the target's text, cut at 1,000 characters. */
export interface Difference {
  /** The key's columns, or, where rows have no key, every column compared. */
  readonly key: Readonly<Record<string, string | null>>;
  /** The column that differs; null when the row is not there at all. */
  readonly column: string | null;
  readonly expected: string | null;
  readonly found: string | null;
}

/** What is asked of a comparison. */
export interface Compared {
  /** False when only the presence of the keys is asked for. */
  readonly values: boolean;
  /** The target may have kept rows of its own in place of some of these, as mode ignore does. */
  readonly kept: boolean;
}

/** How records compare with the target. */
export interface Comparison {
  /** Records that were held against the target. */
  readonly compared: number;
  /** Rows, or keys, that are not there. */
  readonly missing: number;
  /** Rows that are there with other values. */
  readonly different: number;
  /** At most 20 of them, in the order of the key. */
  readonly differences: readonly Difference[];
}

/**
 * What an error of `write` asks for.
 * - `retry`: the same batch, after a pause; the fault lies with the connection or the moment.
 * - `throttled`: as retry; the target has too much to do, which the gate takes as a sign to let fewer at once.
 * - `divide`: some row of the batch is at fault: smaller batches tell which.
 * - `fatal`: no batch will fare better.
 */
export type FailureClass = 'retry' | 'throttled' | 'divide' | 'fatal';

/** How a run ended, for the ledger. */
export type RunStatus =
  | 'complete'
  | 'complete-with-rejects'
  | 'too-many-rejects'
  | 'incomplete'
  | 'failed'
  | 'interrupted';

/**
 * Where records go. Life: `plan` once, or before that once without columns where `key` is not known yet; `open` once (not
 * in a dry run); `write` many times in parallel; then disposed, whatever happened.
 */
export interface Sink extends AsyncDisposable {
  /** The name users know it by: `postgres`. */
  readonly name: string;
  /** What is written, without secrets: server, database, table, mode and key; part of the job's identity. */
  readonly identity: string;
  readonly traits: SinkTraits;
  /** Target columns that tell records apart, where there are any; a sink that rewrites may know them only after `plan`. */
  readonly key?: readonly string[];
  /** The ledger the sink keeps itself, in the transaction of each batch. */
  readonly ledger?: Ledger;
  /**
   * Connects and matches the intake with the target; of an intake without columns, sees whether the target could be
   * written. Throws SinkError that names the column and the remedy.
   */
  plan(intake: Intake, context: Context): Promise<SinkPlan>;
  /** Makes ready what `plan` promised: creates the table if asked to. */
  open(context: Context): Promise<void>;
  /**
   * Called in parallel, at most `SinkPlan.free` at once. Resolves when every row is written or listed in `rejects`,
   * and the batch's spans are settled, in one transaction, where the sink keeps a ledger.
   * Throws NotWritten (nothing of the batch landed) or InDoubt (some or all of it may have).
   */
  write(batch: Batch, context: Context): Promise<WriteResult>;
  /**
   * Rows in the target now. Only where each record written adds a row, so that their number tells what is there.
   */
  readonly count?: (context: Context) => Promise<number>;
  /**
   * Holds the rows of all batches, those refused or duplicate left out, against what the target has, in the target itself:
   * values are compared as the target holds them, missing fields not at all. Where rows have a key, the target's row must be
   * one of those given with that key. Called after `open`, one call at a time. Changes and locks no row.
   * @throws as `write`, for `classify`; nothing is left behind, and it may be called again.
   */
  compare?(batches: AsyncIterable<Batch>, wanted: Compared, context: Context): Promise<Comparison>;
  /** Pure; by codes (SQLSTATE, errno), never by message text. */
  classify(error: unknown): FailureClass;
}
