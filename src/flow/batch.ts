import type { Batch, Cell, Chunk, CsvBytes, CsvChunk, Refusal, Reject, ResumePoint, Span } from '../contract/index.js';
import { asBuffer, recordText } from '../formats/bytes.js';
import { parseCsvRecord } from '../formats/csv-record.js';
import type { CsvMapper, Mapper } from './mapping.js';

/** Rows `[first, last)` of one chunk. */
export interface Slice {
  readonly chunk: Chunk;
  readonly first: number;
  readonly last: number;
  /** Where reading starts again for rows in the middle of the chunk: its own start. */
  readonly start: ResumePoint;
  /** For CSV chunks: how this layout's fields become cells. */
  readonly csv?: CsvMapper;
  /** For chunks whose memory is to be given back. */
  readonly lifetime?: Lifetime;
}

/** CSV records `[first, last)` of a chunk, and which of their fields are asked for. */
export interface PlainFields {
  readonly chunk: CsvChunk;
  readonly first: number;
  readonly last: number;
  readonly fields: readonly number[];
}

/** Counts the rows of a chunk that are still to be settled, and releases the chunk with the last. */
export class Lifetime {
  readonly #release: () => void;
  #left: number;

  constructor(rows: number, release: () => void) {
    this.#left = rows;
    this.#release = release;
  }

  settle(rows: number): void {
    if (rows === 0) return;
    this.#left -= rows;
    if (this.#left === 0) this.#release();
  }
}

/** A batch over slices of chunks, all of one kind and layout: nothing is copied until a sink asks for it. */
export class SlicedBatch implements Batch {
  readonly rows: number;
  readonly bytes: number;
  readonly textual: boolean;
  readonly refused: ReadonlyMap<number, Refusal>;
  readonly duplicates: ReadonlySet<number>;
  readonly #slices: readonly Slice[];
  readonly #mapper: Mapper;
  /** Row of the batch at which each slice starts. */
  readonly #starts: readonly number[];
  readonly #fields: (string | null)[] = [];
  /** The slice of the row asked for last: rows are mostly asked for in order. */
  #at = 0;

  constructor(slices: readonly Slice[], mapper: Mapper, refused?: ReadonlyMap<number, Refusal>) {
    this.#slices = slices;
    this.#mapper = mapper;
    this.textual = mapper.keepsText && slices[0]?.chunk.kind === 'csv';
    const starts: number[] = [];
    const defective = new Map<number, Refusal>();
    const duplicates = new Set<number>();
    let rows = 0;
    let bytes = 0;
    for (const slice of slices) {
      starts.push(rows);
      noteDefects(slice, rows, defective, duplicates);
      rows += slice.last - slice.first;
      bytes += sliceBytes(slice);
    }
    if (refused) for (const [row, refusal] of refused) defective.set(row, refusal);
    this.rows = rows;
    this.bytes = bytes;
    this.#starts = starts;
    this.refused = defective;
    this.duplicates = duplicates;
  }

  /** To be called once a batch, or a part of one, is settled: its rows must not be looked at any more. */
  static release(batch: Batch): void {
    if (!(batch instanceof SlicedBatch)) return;
    for (const { lifetime, first, last } of batch.#slices) lifetime?.settle(last - first);
  }

  get columns(): readonly string[] {
    return this.#slices[0]?.csv?.columns ?? this.#mapper.columns;
  }

  get spans(): readonly Span[] {
    const spans: Span[] = [];
    for (const { chunk, first, last, start } of this.#slices) {
      const from = chunk.span.from + first;
      const next = last === chunk.span.rows ? chunk.span.next : start;
      const before = spans.at(-1);
      if (before && before.split === chunk.span.split && before.from + before.rows === from) {
        spans[spans.length - 1] = { ...before, rows: before.rows + last - first, next };
      } else {
        spans.push({ split: chunk.span.split, from, rows: last - first, next });
      }
    }
    return spans;
  }

  get csv(): CsvBytes | undefined {
    const layout = this.#slices[0]?.chunk.kind === 'csv' ? this.#slices[0].chunk.layout : undefined;
    if (layout === undefined) return undefined;
    const pieces = [];
    for (const { chunk, first, last, csv } of this.#slices) {
      if (chunk.kind !== 'csv' || chunk.layout !== layout || !csv?.direct) return undefined;
      pieces.push({ data: chunk.data, ends: chunk.ends, first, last });
    }
    return { layout, pieces };
  }

  /** The fields that fill these columns unchanged; undefined when one of them is not filled so. */
  plainFields(columns: readonly string[]): readonly PlainFields[] | undefined {
    const found: PlainFields[] = [];
    for (const { chunk, first, last, csv } of this.#slices) {
      if (chunk.kind !== 'csv' || csv?.fields === undefined) return undefined;
      const fields = columns.map((name) => csv.fields?.[csv.columns.indexOf(name)] ?? -1);
      if (fields.includes(-1)) return undefined;
      found.push({ chunk, first, last, fields });
    }
    return found;
  }

  cells(row: number, into: Cell[]): Refusal | undefined {
    const index = this.#seek(row);
    const { chunk, csv } = this.#slices[this.#at]!;
    if (chunk.kind === 'records') return this.#mapper.ofRecord(chunk.records[index]!, into);
    const refusal = parseCsvRecord(
      chunk.layout,
      chunk.data,
      recordStart(chunk, index),
      chunk.ends[index]!,
      this.#fields,
    );
    return refusal ?? csv!.cells(this.#fields, into);
  }

  get replayOf(): string | undefined {
    return this.#slices[0]?.chunk.replay?.run;
  }

  origin(row: number): Pick<Reject, 'split' | 'row' | 'record' | 'csv'> {
    const index = this.#seek(row);
    const { chunk } = this.#slices[this.#at]!;
    const { split, from } = chunk.span;
    const stood = chunk.replay?.origins[index] ?? { split, row: from + index };
    const place = chunk.kind === 'csv' ? { ...stood, csv: chunk.layout } : stood;
    const defect = chunk.defects?.get(index);
    if (defect?.kind === 'malformed') return { ...place, record: defect.record };
    if (chunk.kind === 'records') return { ...place, record: chunk.records[index] };
    return { ...place, record: recordText(withoutEol(chunk, index)) };
  }

  part(from: number, to: number): Batch {
    const slices: Slice[] = [];
    for (const [i, slice] of this.#slices.entries()) {
      const start = this.#starts[i]!;
      const first = Math.max(slice.first, slice.first + from - start);
      const last = Math.min(slice.last, slice.first + to - start);
      if (first < last) slices.push({ ...slice, first, last });
    }
    const refused = new Map<number, Refusal>();
    for (const [row, refusal] of this.refused) if (row >= from && row < to) refused.set(row - from, refusal);
    return new SlicedBatch(slices, this.#mapper, refused);
  }

  refuse(refusals: ReadonlyMap<number, Refusal>): Batch {
    return new SlicedBatch(this.#slices, this.#mapper, new Map([...this.refused, ...refusals]));
  }

  /** Makes the row's slice the one at `#at`; gives the row's index in its chunk. */
  #seek(row: number): number {
    const starts = this.#starts;
    if (row < starts[this.#at]!) this.#at = 0;
    while (this.#at + 1 < starts.length && starts[this.#at + 1]! <= row) this.#at += 1;
    return this.#slices[this.#at]!.first + row - starts[this.#at]!;
  }
}

/** Bytes of a slice: exact for CSV, a share of the chunk's for decoded records. */
export function sliceBytes({ chunk, first, last }: Slice): number {
  if (chunk.kind === 'csv') return first === last ? 0 : chunk.ends[last - 1]! - recordStart(chunk, first);
  return Math.ceil((chunk.bytes * (last - first)) / Math.max(1, chunk.span.rows));
}

function recordStart(chunk: CsvChunk, index: number): number {
  return index === 0 ? 0 : chunk.ends[index - 1]!;
}

function withoutEol(chunk: CsvChunk, index: number): Uint8Array {
  const record = asBuffer(chunk.data).subarray(recordStart(chunk, index), chunk.ends[index]!);
  const { eol } = chunk.layout;
  return record.subarray(-eol.length).equals(Buffer.from(eol)) ? record.subarray(0, -eol.length) : record;
}

function noteDefects(slice: Slice, offset: number, refused: Map<number, Refusal>, duplicates: Set<number>): void {
  if (slice.chunk.defects === undefined) return;
  for (const [index, defect] of slice.chunk.defects) {
    if (index < slice.first || index >= slice.last) continue;
    const row = offset + index - slice.first;
    if (defect.kind === 'duplicate') duplicates.add(row);
    else refused.set(row, defect.refusal);
  }
}
