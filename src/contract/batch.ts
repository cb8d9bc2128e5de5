import type { CsvLayout, Span } from './chunk.js';
import type { Cell, Refusal, Reject } from './record.js';

/** A piece of CSV bytes within a batch: records `[first, last)` of a chunk. */
export interface CsvPiece {
  readonly data: Uint8Array;
  readonly ends: Uint32Array;
  readonly first: number;
  readonly last: number;
}

/** CSV bytes that may go to the target as they are: field i of the layout is column i of the batch. */
export interface CsvBytes {
  readonly layout: CsvLayout;
  readonly pieces: readonly CsvPiece[];
}

/**
 * What a sink writes at once. Rows are numbered 0..rows-1 within the batch.
 * A batch is not changed once made; parts and refusals make a new one over the same memory.
 */
export interface Batch {
  readonly rows: number;
  /** Bytes of the rows, as the source counted them. */
  readonly bytes: number;
  /** The ranges that are settled when this batch is, in row order. */
  readonly spans: readonly Span[];
  /** Target columns, in the order of `cells`: of the plan's columns and others. Batches of other files may have others. */
  readonly columns: readonly string[];
  /** True when cells are the database's own text form (CSV): a string then is never JSON-quoted or reinterpreted. */
  readonly textual: boolean;
  /** Present when the bytes line up with the columns, so that they can be passed on without being read. */
  readonly csv?: CsvBytes | undefined;
  /** Rows refused already: not to be written, but to be recorded together with the others. */
  readonly refused: ReadonlyMap<number, Refusal>;
  /** Rows that are not written because the source gave them before. */
  readonly duplicates: ReadonlySet<number>;
  /** The run whose rejects these rows were: the ledger notes by their `origin` which of them are written. */
  readonly replayOf?: string | undefined;
  /**
   * Fills `into` (one slot a column) with the cells of a row; slots of missing fields become undefined.
   * Returns a refusal when this row can't be read or mapped: `into` then has no meaning.
   * Not to be called for rows refused or duplicate. `into` may be used again for the next row.
   */
  cells(row: number, into: Cell[]): Refusal | undefined;
  /** Where a row stands and the record as read, for a reject. */
  origin(row: number): Pick<Reject, 'split' | 'row' | 'record' | 'csv'>;
  /** Rows `[from, to)` as a batch of their own, refusals and duplicates with them. */
  part(from: number, to: number): Batch;
  /** The same batch with more rows refused. */
  refuse(refusals: ReadonlyMap<number, Refusal>): Batch;
}
