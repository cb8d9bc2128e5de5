import { isAscii, isUtf8 } from 'node:buffer';
import type { Defect, RecordChunk, ResumePoint, Row } from '../contract/index.js';
import { SourceError } from '../errors.js';
import { ByteReader, type ByteStream, markLength, maxRecordBytes, recordText, resumeOffset } from './bytes.js';
import { isLosslessNumber, parseJson } from './json.js';

export interface NdjsonReadOptions {
  /** Names the file in spans and errors. */
  readonly split: string;
  readonly from?: ResumePoint | undefined;
  /** Longest line in bytes; default 64 MiB. */
  readonly maxRecordBytes?: number;
}

/**
 * Newline-delimited JSON as chunks of decoded records, numbers digit for digit. Lines end in \n or \r\n; lines of white
 * space alone are no records and have no row number; a byte order mark is dropped. A line that is not a JSON object is
 * a defect: `malformed-json`, `not-an-object`, or 22021 for bytes that are not UTF-8.
 * A resume point's token is the byte offset of its row in the file.
 * Throws SourceError: `record-too-large`, `source-shrank`, and whatever `bytes` throws.
 */
export async function* readNdjson(bytes: ByteStream, options: NdjsonReadOptions): AsyncGenerator<RecordChunk, void> {
  const { split, from } = options;
  const limit = options.maxRecordBytes ?? maxRecordBytes;
  const reader = new ByteReader(bytes, split);
  try {
    if (from) await reader.skipTo(resumeOffset(from, split));
    let row = from?.row ?? 0;
    let offset = reader.offset;
    /** Pieces of a line whose end has not come yet. */
    let pending: Buffer[] = [];
    let pendingBytes = 0;

    const chunk = (lines: Buffer): RecordChunk | undefined => {
      const mark = offset === 0 ? markLength(lines) : 0;
      offset += lines.length;
      const { records, defects } = parseLines(lines.subarray(mark));
      if (records.length === 0) return undefined;
      const next = { row: row + records.length, token: offset };
      const span = { split, from: row, rows: records.length, next };
      row = next.row;
      return { kind: 'records', span, bytes: lines.length, records, ...(defects.size > 0 && { defects }) };
    };

    for (let buffer = await reader.next(); buffer; buffer = await reader.next()) {
      const stop = buffer.lastIndexOf(10) + 1;
      if (stop > 0) {
        // A line that began in earlier bytes is joined alone, so that the others need no copy.
        const start = pendingBytes > 0 ? buffer.indexOf(10) + 1 : 0;
        if (start > 0) {
          const joined = chunk(Buffer.concat([...pending, buffer.subarray(0, start)]));
          if (joined) yield joined;
        }
        const whole = stop > start ? chunk(buffer.subarray(start, stop)) : undefined;
        if (whole) yield whole;
        pending = [];
        pendingBytes = 0;
      }
      if (stop < buffer.length) {
        pending.push(buffer.subarray(stop));
        pendingBytes += buffer.length - stop;
      }
      if (pendingBytes > limit) {
        throw new SourceError(
          'record-too-large',
          `${split}, row ${row + 1} (from byte ${offset}): a line is longer than ${limit} bytes`,
        );
      }
    }
    const rest = pendingBytes > 0 ? chunk(Buffer.concat(pending)) : undefined;
    if (rest) yield rest;
  } finally {
    await reader.close();
  }
}

interface Lines {
  readonly records: Row[];
  readonly defects: Map<number, Defect>;
}

function parseLines(bytes: Buffer): Lines {
  const lines: Lines = { records: [], defects: new Map() };
  if (isAscii(bytes)) addText(lines, bytes.toString('latin1'));
  else if (isUtf8(bytes)) addText(lines, bytes.toString('utf8'));
  else {
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(10, start);
      const line = bytes.subarray(start, end === -1 ? bytes.length : end);
      if (isUtf8(line)) addLine(lines, line.toString('utf8'));
      else addDefect(lines, '22021', 'invalid byte sequence for encoding "UTF8"', recordText(line));
      start = end === -1 ? bytes.length : end + 1;
    }
  }
  return lines;
}

function addText(lines: Lines, text: string): void {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    addLine(lines, text.slice(start, end === -1 ? text.length : end));
    start = end === -1 ? text.length : end + 1;
  }
}

function addLine(lines: Lines, line: string): void {
  let value: unknown;
  try {
    value = parseJson(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    if (blank.test(line)) return;
    addDefect(lines, 'malformed-json', `malformed JSON: ${error.message}`, withoutReturn(line));
    return;
  }
  if (isObject(value)) lines.records.push(value);
  else addDefect(lines, 'not-an-object', 'a JSON object is expected on each line', withoutReturn(line));
}

function addDefect(lines: Lines, code: string, reason: string, record: unknown): void {
  lines.defects.set(lines.records.length, { kind: 'malformed', refusal: { code, reason }, record });
  lines.records.push(none);
}

/** Stands where a record would, under a defect. */
const none: Row = Object.freeze({});

/** JSON's own white space. */
const blank = /^[ \t\r]*$/;

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

function isObject(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value);
}
