import type { Row } from '../contract/index.js';

/** What one column is filled with. A string is short for `{ from: string }`. */
export type ColumnSpec =
  | string
  | {
      /** Path in the record, such as `loc.coordinates[0]`; for CSV, a field name. */
      readonly from?: string;
      /** The same value for every record; instead of `from`. */
      readonly value?: unknown;
      /** Taken when the record has no such field, or null there. */
      readonly default?: unknown;
      /** Sent as text, or as JSON text, whatever it was. */
      readonly cast?: 'text' | 'json';
    };

/** Target column -> what it is filled with; or a function that makes the row to write out of a record. */
export type Columns = Readonly<Record<string, ColumnSpec>> | ((record: Row) => Row);
