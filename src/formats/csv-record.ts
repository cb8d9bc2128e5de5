import { isUtf8 } from 'node:buffer';
import type { CsvLayout, Refusal } from '../contract/index.js';
import { asBuffer } from './bytes.js';

/** SQLSTATE bad_copy_file_format and character_not_in_repertoire: what COPY itself would answer. */
const badFormat = '22P04';
const badText = '22021';
const invalidText = 'invalid byte sequence for encoding "UTF8"';

export const unterminatedQuote: Refusal = { code: badFormat, reason: 'unterminated quoted field' };

/**
 * Reads the record in bytes `[start, end)` of `data`, line end included, into `into`: one string or null a field of the
 * layout. By PostgreSQL's rules (CopyReadAttributesCSV): quotes may open and close anywhere in a field, a doubled quote
 * within quotes is one quote, an unquoted field that equals the null string is null.
 * Returns a refusal, with COPY's own SQLSTATE, when COPY would refuse the record; `into` then has no meaning.
 */
export function parseCsvRecord(
  layout: CsvLayout,
  data: Uint8Array,
  start: number,
  end: number,
  into: (string | null)[],
): Refusal | undefined {
  const found = splitCsvRecord(layout, data, start, end, into, layout.fields.length);
  if (typeof found !== 'number') return found;
  const expected = layout.fields.length;
  if (found === expected) return undefined;
  return { code: badFormat, reason: `ragged line: ${expected} fields expected, ${found} found` };
}

/** As parseCsvRecord, whatever the number of fields, which it returns; those from `keep` on are counted only. */
export function splitCsvRecord(
  layout: Omit<CsvLayout, 'fields'>,
  data: Uint8Array,
  start: number,
  end: number,
  into: (string | null)[],
  keep = Number.POSITIVE_INFINITY,
): number | Refusal {
  const bytes = asBuffer(data);
  const { eol } = layout;
  // Of a record in a file of \r\n that ends in a bare \n, the \n is taken for content, and refused as such.
  const ended = eol !== '\r\n' || (end - start >= 2 && bytes[end - 2] === 13);
  const text = bytes.toString('utf8', start, end - (ended ? eol.length : 0));
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end))) return { code: badText, reason: invalidText };
  if (text.includes('\0')) return { code: badText, reason: `${invalidText}: 0x00` };

  // By indexOf from mark to mark: measured at less than half the time of a loop over characters.
  const { delimiter, quote } = layout;
  let at = 0;
  let count = 0;
  /** The next quote at or after `at`, the next line end: the text's length where there is none. */
  let nextQuote = find(text, quote, 0);
  let lineEnd = findLineEnd(text, 0);
  for (;;) {
    let stop = find(text, delimiter, at);
    let value: string | null;
    if (nextQuote >= stop) {
      if (lineEnd < stop) return strayLineEnd(text, lineEnd, eol);
      value = text.slice(at, stop);
      if (value === layout.null) value = null;
    } else {
      value = '';
      while (nextQuote < stop) {
        if (lineEnd < nextQuote) return strayLineEnd(text, lineEnd, eol);
        value += text.slice(at, nextQuote);
        at = nextQuote + 1;
        for (;;) {
          const close = text.indexOf(quote, at);
          if (close === -1) return unterminatedQuote;
          value += text.slice(at, close);
          at = close + 1;
          if (text[at] !== quote) break;
          value += quote;
          at++;
        }
        nextQuote = find(text, quote, at);
        if (stop < at) stop = find(text, delimiter, at);
        if (lineEnd < at) lineEnd = findLineEnd(text, at);
      }
      if (lineEnd < stop) return strayLineEnd(text, lineEnd, eol);
      value += text.slice(at, stop);
    }
    if (count < keep) into[count] = value;
    count++;
    if (stop === text.length) return count;
    at = stop + 1;
  }
}

function find(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at === -1 ? text.length : at;
}

function findLineEnd(text: string, from: number): number {
  return Math.min(find(text, '\r', from), find(text, '\n', from));
}

function strayLineEnd(text: string, at: number, eol: CsvLayout['eol']): Refusal {
  const name = text[at] === '\r' ? 'carriage return' : 'newline';
  return { code: badFormat, reason: `unquoted ${name} in a file whose lines end in ${JSON.stringify(eol)}` };
}
