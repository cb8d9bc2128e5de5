import { describe, expect, test } from 'vitest';
import type { CsvLayout, Refusal } from '../contract/index.js';
import { parseCsvRecord } from './csv-record.js';

const plain = { delimiter: ',', quote: '"', null: '', eol: '\n' } as const;

function parse(record: string | Buffer, fields: number, layout: Partial<CsvLayout> = {}): (string | null)[] | Refusal {
  const before = Buffer.from('x,"\n');
  const bytes = Buffer.concat([before, Buffer.from(record), Buffer.from('"y')]);
  const into: (string | null)[] = [];
  const names = Array.from({ length: fields }, (_, i) => `f${i}`);
  const refusal = parseCsvRecord(
    { ...plain, ...layout, fields: names },
    bytes,
    before.length,
    before.length + Buffer.byteLength(record),
    into,
  );
  return refusal ?? into;
}

describe('parseCsvRecord', () => {
  test.each<[string, (string | null)[]]>([
    ['a,b,c\n', ['a', 'b', 'c']],
    ['a,,c\n', ['a', null, 'c']],
    ['a,"",c\n', ['a', '', 'c']],
    [',,\n', [null, null, null]],
    ['"a,b","c\nd\r","e""f"\n', ['a,b', 'c\nd\r', 'e"f']],
    ['a"b,c"d,e,f\n', ['ab,cd', 'e', 'f']],
    ['"a"b"c",""d,"""x"""\n', ['abc', 'd', '"x"']],
    ['""x"" "",y,z\n', ['x ', 'y', 'z']],
    [' a , "b",\t\n', [' a ', ' b', '\t']],
    ['é,"日本","😀, ""é"""\n', ['é', '日本', '😀, "é"']],
    ['\\.,\\N,\\"\\"\n', ['\\.', '\\N', '\\\\']],
    ['\ufffd,b,c\n', ['\ufffd', 'b', 'c']],
  ])('reads %j', (record, fields) => {
    expect(parse(record, 3)).toEqual(fields);
  });

  test('reads a blank line as one field, null or empty', () => {
    expect(parse('\n', 1)).toEqual([null]);
    expect(parse('\n', 1, { null: 'NULL' })).toEqual(['']);
    expect(parse('\n', 2)).toMatchObject({ code: '22P04' });
  });

  test('takes the null string for null only where it stands alone and unquoted', () => {
    expect(parse('NULL,"NULL",NU"LL",,xNULL\n', 5, { null: 'NULL' })).toEqual([null, 'NULL', 'NULL', '', 'xNULL']);
  });

  test('reads other delimiters, quotes and line ends', () => {
    expect(parse("a\t'b''\t'\t\"c\"\r\n", 3, { delimiter: '\t', quote: "'", eol: '\r\n' })).toEqual([
      'a',
      "b'\t",
      '"c"',
    ]);
    expect(parse('a,"\n"\r', 2, { eol: '\r' })).toEqual(['a', '\n']);
  });

  test.each<[string, string | Buffer, CsvLayout['eol'], string, RegExp]>([
    ['too few fields', 'a,b\n', '\n', '22P04', /3 fields expected, 2 found/],
    ['too many fields', 'a,b,c,"d"\n', '\n', '22P04', /3 fields expected, 4 found/],
    ['an open quote', 'a,b,"c\n', '\n', '22P04', /unterminated/],
    ['a bare \\r among \\n', 'a,b\r,c\n', '\n', '22P04', /unquoted carriage return/],
    ['\\r\\n among \\n', 'a,b,c\r\n', '\n', '22P04', /unquoted carriage return/],
    ['a bare \\n among \\r\\n', 'a,b,c\n', '\r\n', '22P04', /unquoted newline/],
    ['a lone \\n among \\r\\n', '\n', '\r\n', '22P04', /unquoted newline/],
    ['a bare \\r among \\r\\n', 'a,b,c\r\r\n', '\r\n', '22P04', /unquoted carriage return/],
    ['a \\n among \\r', '\na,b,c\r', '\r', '22P04', /unquoted newline/],
    ['invalid UTF-8', Buffer.from('a,b,c\xff\n', 'latin1'), '\n', '22021', /UTF8/],
    ['a surrogate in UTF-8', Buffer.from('a,b,\xed\xa0\x80\n', 'latin1'), '\n', '22021', /UTF8/],
    ['NUL', 'a,b,c\0\n', '\n', '22021', /0x00/],
    ['NUL within quotes', 'a,b,"c\0"\n', '\n', '22021', /0x00/],
  ])('refuses %s', (_name, record, eol, code, reason) => {
    expect(parse(record, 3, { eol })).toEqual({ code, reason: expect.stringMatching(reason) });
  });
});
