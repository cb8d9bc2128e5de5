import type { Refusal, Row } from './record.js';

/**
 * Where reading can start again. `row` is the first row that comes out when reading starts from `token`;
 * it may lie before the row that is wanted (a page's start), and then the rows between are read and passed over.
 * `token` is the source's own and survives JSON: a byte offset, a page number, a cursor.
 */
export interface ResumePoint {
  readonly row: number;
  readonly token: unknown;
}

/** Consecutive rows of one split: `[from, from + rows)`, counted from 0. */
export interface Span {
  readonly split: string;
  readonly from: number;
  readonly rows: number;
  /** Where to start again once everything up to the end of this span is settled. */
  readonly next: ResumePoint;
}

/** A slot of a chunk that holds no record to be written. It keeps its row number. */
export type Defect =
  | { readonly kind: 'malformed'; readonly refusal: Refusal; readonly record: unknown }
  /** Read before, under the same key: counted, not written. */
  | { readonly kind: 'duplicate' };

/** Records of a chunk that were rejects of an earlier run. */
export interface Replay {
  /** The run that rejected them first. */
  readonly run: string;
  /** Where each record of the chunk stood then: what its reject, and the ledger, name it by. */
  readonly origins: readonly { readonly split: string; readonly row: number }[];
}

interface ChunkBase {
  readonly span: Span;
  /** Memory this chunk holds, in bytes; what the channel counts. For decoded records, an estimate. */
  readonly bytes: number;
  /** Slots without a record, by index in the chunk. */
  readonly defects?: ReadonlyMap<number, Defect>;
  readonly replay?: Replay;
  /** Rows the whole split will have, as far as the source knows by now. */
  readonly totalRows?: number;
  /** Called once, when every row is settled and none is looked at again: the source may then use the memory for others. */
  readonly release?: () => void;
}

/** Decoded records. `records[i]` is row `span.from + i`; under a defect the slot's value has no meaning. */
export interface RecordChunk extends ChunkBase {
  readonly kind: 'records';
  readonly records: readonly Row[];
}

/** How CSV bytes are to be read. All files of one load may differ in this. */
export interface CsvLayout {
  /** Field names in file order, from the header or as the job gives them. */
  readonly fields: readonly string[];
  /** One byte. */
  readonly delimiter: string;
  /** One byte. It is its own escape, as in RFC 4180 and PostgreSQL's default. */
  readonly quote: string;
  /** An unquoted field that equals this is null. */
  readonly null: string;
  /** Fixed for the file by its first line, as PostgreSQL's COPY does. */
  readonly eol: '\n' | '\r\n' | '\r';
}

/** CSV records, still bytes. The header and a byte order mark are not part of `data`. */
export interface CsvChunk extends ChunkBase {
  readonly kind: 'csv';
  readonly layout: CsvLayout;
  readonly data: Uint8Array;
  /** `ends[i]` is the offset in `data` just after record i, its line end included. The first record starts at 0. */
  readonly ends: Uint32Array;
}

/** Whole records, in order. */
export type Chunk = RecordChunk | CsvChunk;
