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

  const delimiter = layout.delimiter.charCodeAt(0);
  const quote = layout.quote.charCodeAt(0);
  const length = text.length;
  let count = 0;
  let at = 0;
  for (;;) {
    const from = at;
    let quoted = false;
    let value = '';
    let piece = from;
    let code = -1;
    for (;;) {
      // Outside quotes.
      code = -1;
      for (; at < length; at++) {
        code = text.charCodeAt(at);
        if (code === delimiter || code === quote) break;
        if (code === 10 || code === 13) return strayLineEnd(code, eol);
        code = -1;
      }
      if (code !== quote) break;
      // Inside quotes; a doubled quote leaves them and enters again at once, and counts as one.
      quoted = true;
      if (at > piece) value += text.slice(piece, at);
      for (;;) {
        const close = text.indexOf(layout.quote, at + 1);
        if (close === -1) return unterminatedQuote;
        value += text.slice(at + 1, close);
        at = close + 1;
        if (at >= length || text.charCodeAt(at) !== quote) break;
        value += layout.quote;
      }
      piece = at;
    }
    if (quoted) {
      if (at > piece) value += text.slice(piece, at);
      if (count < keep) into[count] = value;
    } else if (count < keep) {
      value = text.slice(from, at);
      into[count] = value === layout.null ? null : value;
    }
    count++;
    if (code !== delimiter) return count;
    at++;
  }
}

function strayLineEnd(code: number, eol: CsvLayout['eol']): Refusal {
  const name = code === 13 ? 'carriage return' : 'newline';
  return { code: badFormat, reason: `unquoted ${name} in a file whose lines end in ${JSON.stringify(eol)}` };
}
