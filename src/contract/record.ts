import type { CsvLayout } from './chunk.js';

/** A record as decoded: field names to JavaScript values, nested objects and arrays included. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * One value on its way into a column.
 *
 * From bytes that are already the database's own text (CSV): a string, or null.
 * From decoded records: whatever the record held: string, number, bigint, boolean, null, Date, Uint8Array, a
 * `LosslessNumber` (digits kept as read), a `JsonText` (a cast to json), a nested object or array. `undefined` means the record has no such field,
 * which is neither null nor an empty string.
 */
export type Cell = unknown;

/** Why one record can't be written, in the words and codes a user can act on. */
export interface Refusal {
  /** SQLSTATE where a database judged, otherwise a stable word of Sluice's own, such as `malformed-json`. */
  readonly code: string;
  readonly reason: string;
  /** The target column, where one is to blame. */
  readonly column?: string;
}

/** A refused record with all that is needed to find it, mend it and load it again. */
export interface Reject extends Refusal {
  readonly split: string;
  /** Row number in the split, counted from 0 as spans are (people are shown `row + 1`). */
  readonly row: number;
  /** The record as read: its text (CSV, malformed JSON) or its fields. Bytes that are not UTF-8 come as `{ base64 }`. */
  readonly record: unknown;
  /** How `record` is to be read, where it came from a CSV file. */
  readonly csv?: CsvLayout;
}
