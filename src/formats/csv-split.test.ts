import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CsvSplitter } from './csv-split.js';

type Eol = '\n' | '\r\n' | '\r';

function split(pieces: readonly Buffer[], eol: Eol, quote = '"', limit?: number): string[] {
  const splitter = new CsvSplitter({ quote, eol }, limit);
  const records: string[] = [];
  const runs = [...pieces.flatMap((piece) => splitter.push(piece)), splitter.end()];
  for (const run of runs) {
    if (!run) continue;
    let start = 0;
    for (const end of run.ends) {
      records.push(run.data.toString('latin1', start, end));
      start = end;
    }
    expect(start).toBe(run.data.length);
  }
  return records;
}

/** The same, as plainly as it can be said. */
function reference(text: string, eol: Eol, quote = '"'): string[] {
  const records: string[] = [];
  let record = '';
  let inQuote = false;
  for (const character of text) {
    record += character;
    if (character === quote) inQuote = !inQuote;
    if (!inQuote && character === (eol === '\r' ? '\r' : '\n')) {
      records.push(record);
      record = '';
    }
  }
  return record === '' ? records : [...records, record + eol];
}

describe('CsvSplitter', () => {
  test.each<[string, Eol, string[]]>([
    ['a,b\nc\n', '\n', ['a,b\n', 'c\n']],
    ['a,b\nc', '\n', ['a,b\n', 'c\n']],
    ['a\r\nb', '\r\n', ['a\r\n', 'b\r\n']],
    ['a\rb', '\r', ['a\r', 'b\r']],
    ['"a\nb"\nc\n', '\n', ['"a\nb"\n', 'c\n']],
    ['"a""\n"\nc\n', '\n', ['"a""\n"\n', 'c\n']],
    ['a"b\nc"d\ne\n', '\n', ['a"b\nc"d\n', 'e\n']],
    ['\n\n', '\n', ['\n', '\n']],
    ['a\nb\r\nc\r\n', '\r\n', ['a\n', 'b\r\n', 'c\r\n']],
    ['', '\n', []],
  ])('cuts %j in a file of %j', (text, eol, records) => {
    expect(split([Buffer.from(text)], eol)).toEqual(records);
  });

  test('gives the same records however the bytes are cut and wherever they lie in memory', () => {
    const eols = fc.constantFrom<Eol>('\n', '\r\n', '\r');
    const text = fc.string({ unit: fc.constantFrom('a', ',', '"', "'", '\n', '\r', '\r\n', '\xff'), maxLength: 80 });
    fc.assert(
      fc.property(
        text,
        eols,
        fc.constantFrom('"', "'"),
        fc.array(fc.nat(20)),
        fc.nat(3),
        (text, eol, quote, cuts, skew) => {
          const bytes = Buffer.concat([Buffer.alloc(skew), Buffer.from(text, 'latin1')]).subarray(skew);
          const pieces: Buffer[] = [];
          let at = 0;
          for (const cut of cuts) {
            pieces.push(bytes.subarray(at, at + cut));
            at = Math.min(bytes.length, at + cut);
          }
          pieces.push(bytes.subarray(at));
          expect(split(pieces, eol, quote)).toEqual(reference(text, eol, quote));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('says when the last record ends within quotes', () => {
    const splitter = new CsvSplitter({ quote: '"', eol: '\n' });
    splitter.push(Buffer.from('a\n"b'));
    expect(splitter.end()).toMatchObject({ unterminated: true, length: 2 });
  });

  test('refuses a record beyond the limit, and names an open quote as the likely cause', () => {
    const pieces = Array.from({ length: 11 }, () => Buffer.from('"aaaaaaaa,'));
    expect(() => split(pieces, '\n', '"', 100)).toThrow(
      expect.objectContaining({ code: 'record-too-large', message: expect.stringContaining('quote is still open') }),
    );
    expect(split(pieces.slice(0, 10), '\n', '"', 100)).toHaveLength(1);
  });
});
