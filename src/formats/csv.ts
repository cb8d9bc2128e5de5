import type { CsvChunk, CsvLayout, Defect, ResumePoint } from '../contract/index.js';
import { SourceError } from '../errors.js';
import { ByteReader, type ByteStream, markLength, maxRecordBytes, recordText, resumeOffset } from './bytes.js';
import { splitCsvRecord, unterminatedQuote } from './csv-record.js';
import { type CsvRun, CsvSplitter } from './csv-split.js';

/** How one CSV file is written. */
export interface CsvDialect {
  /** One byte; default `,`. */
  readonly delimiter?: string;
  /** One byte, its own escape; default `"`. */
  readonly quote?: string;
  /** An unquoted field that equals this is null; default the empty string. */
  readonly null?: string;
  /** The first record holds the field names. Default: true without `fields`, false with them. */
  readonly header?: boolean;
  /** Field names in file order; a header is then passed over, but must have as many. */
  readonly fields?: readonly string[];
}

export interface CsvReadOptions extends CsvDialect {
  /** Names the file in spans and errors. */
  readonly split: string;
  readonly from?: ResumePoint | undefined;
  /** Longest record in bytes; default 64 MiB. */
  readonly maxRecordBytes?: number;
}

/**
 * CSV bytes as chunks of whole records, about as large as the buffers that come in, over their memory.
 * A byte order mark is dropped. The line end is fixed by the first line, as COPY does. Where the last record lacks its
 * line end, one is added. A quote that is still open at the end of the file is a defect of that last record.
 * A resume point's token is the byte offset of its row in the file.
 * Throws SourceError: `bad-header`, `record-too-large`, `source-shrank`, and whatever `bytes` throws.
 */
export async function* readCsv(bytes: ByteStream, options: CsvReadOptions): AsyncGenerator<CsvChunk, void> {
  const { split, from } = options;
  const limit = options.maxRecordBytes ?? maxRecordBytes;
  const reader = new ByteReader(bytes, split);
  try {
    const layout = await readLayout(reader, options, limit);
    if (!layout && !from) return;
    if (from) await reader.skipTo(resumeOffset(from, split));
    if (!layout) return;
    const splitter = new CsvSplitter(layout, limit);
    let row = from?.row ?? 0;
    let offset = reader.offset;
    const chunk = ({ data, ends, length, unterminated }: CsvRun): CsvChunk => {
      offset += length;
      const span = { split, from: row, rows: ends.length, next: { row: row + ends.length, token: offset } };
      row += ends.length;
      const made = { kind: 'csv', span, bytes: data.length, layout, data, ends } as const;
      if (!unterminated) return made;
      const fault = splitCsvRecord(layout, data, 0, data.length, [], 0);
      const defect: Defect = {
        kind: 'malformed',
        refusal: typeof fault === 'number' ? unterminatedQuote : fault,
        record: recordText(data.subarray(0, length)),
      };
      return { ...made, defects: new Map([[0, defect]]) };
    };
    for (let buffer = await reader.next(); buffer; buffer = await reader.next()) {
      let runs: CsvRun[];
      try {
        runs = splitter.push(buffer);
      } catch (cause) {
        if (!(cause instanceof SourceError)) throw cause;
        throw new SourceError(cause.code, `${split}, row ${row + 1} (from byte ${offset}): ${cause.message}`, {
          cause,
        });
      }
      for (const run of runs) yield chunk(run);
    }
    const rest = splitter.end();
    if (rest) yield chunk(rest);
  } finally {
    await reader.close();
  }
}

/** The field names of a file, read from its start; undefined when it is empty. Throws as readCsv does. */
export async function readCsvFields(
  bytes: ByteStream,
  options: Omit<CsvReadOptions, 'from'>,
): Promise<readonly string[] | undefined> {
  const reader = new ByteReader(bytes, options.split);
  try {
    return (await readLayout(reader, options, options.maxRecordBytes ?? maxRecordBytes))?.fields;
  } finally {
    await reader.close();
  }
}

/** Reads the first line, and the header where there is one; leaves the reader at the first record. Undefined for an empty file. */
async function readLayout(reader: ByteReader, options: CsvReadOptions, limit: number): Promise<CsvLayout | undefined> {
  const dialect = {
    delimiter: options.delimiter ?? ',',
    quote: options.quote ?? '"',
    null: options.null ?? '',
  };
  let head: Buffer = Buffer.alloc(0);
  let line: FirstLine | undefined;
  let start = 0;
  for (let complete = false; !line; ) {
    // Doubled each time, so that a long first line is not looked through again and again.
    const pieces = [head];
    let wanted = Math.max(3, head.length);
    while (wanted > 0 && !complete) {
      const bytes = await reader.next();
      if (bytes) pieces.push(bytes);
      else complete = true;
      wanted -= bytes?.length ?? 0;
    }
    head = pieces.length === 2 && head.length === 0 ? pieces[1]! : Buffer.concat(pieces);
    start = markLength(head);
    line = firstLine(head, start, dialect.quote, complete);
    if (!line && head.length > limit) {
      throw new SourceError('record-too-large', `${options.split}: the first line is longer than ${limit} bytes`);
    }
  }
  if (head.length === start) return undefined;

  const { stop, eol, ended } = line;
  const hasHeader = options.header ?? options.fields === undefined;
  reader.unread(head.subarray(hasHeader ? stop : start));
  if (!hasHeader) return { ...dialect, eol, fields: options.fields ?? [] };

  const names: (string | null)[] = [];
  const header = ended ? head.subarray(start, stop) : Buffer.concat([head.subarray(start, stop), Buffer.from(eol)]);
  const found = splitCsvRecord({ ...dialect, eol }, header, 0, header.length, names);
  if (typeof found !== 'number') throw badHeader(options.split, found.reason);
  if (options.fields) {
    if (options.fields.length === found) return { ...dialect, eol, fields: options.fields };
    throw badHeader(options.split, `it has ${found} fields, but ${options.fields.length} are named by "fields"`);
  }
  return { ...dialect, eol, fields: checkNames(options.split, names) };
}

function checkNames(split: string, names: readonly (string | null)[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name, i) => {
    if (name === null || name === '') throw badHeader(split, `field ${i + 1} has no name`);
    const before = seen.get(name);
    if (before !== undefined) throw badHeader(split, `fields ${before + 1} and ${i + 1} are both named "${name}"`);
    seen.set(name, i);
    return name;
  });
}

function badHeader(split: string, reason: string): SourceError {
  return new SourceError('bad-header', `${split}: the header can't be used: ${reason}; mend it, or name the "fields"`);
}

/** Where the first record ends, and how; not `ended` when the file stops there without a line end. */
interface FirstLine {
  readonly stop: number;
  readonly eol: CsvLayout['eol'];
  readonly ended: boolean;
}

/** Undefined when more bytes are needed to tell. */
function firstLine(head: Buffer, start: number, quoteCharacter: string, complete: boolean): FirstLine | undefined {
  const quote = quoteCharacter.charCodeAt(0);
  let inQuote = false;
  for (let i = start; i < head.length; i++) {
    const byte = head[i];
    if (byte === quote) inQuote = !inQuote;
    else if (inQuote) continue;
    else if (byte === 10) return { stop: i + 1, eol: '\n', ended: true };
    else if (byte === 13) {
      if (i + 1 === head.length && !complete) return undefined;
      if (head[i + 1] === 10) return { stop: i + 2, eol: '\r\n', ended: true };
      return { stop: i + 1, eol: '\r', ended: true };
    }
  }
  return complete ? { stop: head.length, eol: '\n', ended: false } : undefined;
}
