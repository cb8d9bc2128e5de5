import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collect } from '../../test/collect.js';
import type { CsvChunk, Problem, ResumePoint } from '../contract/index.js';
import { type CsvReadOptions, readCsv } from './csv.js';
import { parseCsvRecord } from './csv-record.js';

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function chunks(text: string | Buffer, options: Partial<CsvReadOptions> = {}, size = 7): Promise<CsvChunk[]> {
  return collect(readCsv(pieces(Buffer.from(text), size), { split: 'f.csv', ...options }));
}

/** Every row as its number and its fields, or the code of its refusal. */
function rows(chunks: readonly CsvChunk[]): [number, (string | null)[] | string][] {
  return chunks.flatMap(({ span, layout, data, ends, defects }) => {
    expect(ends.length).toBe(span.rows);
    expect(ends[ends.length - 1]).toBe(data.length);
    return Array.from(ends, (end, i): [number, (string | null)[] | string] => {
      const defect = defects?.get(i);
      if (defect?.kind === 'malformed') return [span.from + i, defect.refusal.code];
      const into: (string | null)[] = [];
      const refusal = parseCsvRecord(layout, data, ends[i - 1] ?? 0, end, into);
      return [span.from + i, refusal?.code ?? into];
    });
  });
}

describe('readCsv', () => {
  test('takes names from the header, drops the byte order mark, and numbers rows from 0', async () => {
    const read = await chunks('\ufeffid,"na""me"\n1,a\n2,"b\nc"\n');
    expect(read[0]!.layout).toEqual({ fields: ['id', 'na"me'], delimiter: ',', quote: '"', null: '', eol: '\n' });
    expect(rows(read)).toEqual([
      [0, ['1', 'a']],
      [1, ['2', 'b\nc']],
    ]);
  });

  test.each([1, 2, 3, 100])('fixes the line end by the first line, read %i bytes at a time', async (size) => {
    for (const eol of ['\n', '\r\n', '\r'] as const) {
      const read = await chunks(`a${eol}1${eol}"2${eol}"`, {}, size);
      expect(read[0]!.layout.eol).toBe(eol);
      expect(rows(read)).toEqual([
        [0, ['1']],
        [1, [`2${eol}`]],
      ]);
      expect(read.at(-1)!.data.subarray(-eol.length).toString()).toBe(eol);
    }
  });

  test('without a header every record is a row, under the names given', async () => {
    const read = await chunks('1,2\n3,4', { fields: ['x', 'y'] });
    expect(read[0]!.layout.fields).toEqual(['x', 'y']);
    expect(rows(read)).toEqual([
      [0, ['1', '2']],
      [1, ['3', '4']],
    ]);
  });

  test('passes over a header when names are given too, and holds it to their number', async () => {
    expect(rows(await chunks('a,b\n1,2\n', { header: true, fields: ['x', 'y'] }))).toEqual([[0, ['1', '2']]]);
    await expect(chunks('a,b\n1,2\n', { header: true, fields: ['x'] })).rejects.toMatchObject({ code: 'bad-header' });
  });

  test.each([
    ['a,a\n', /fields 1 and 2 are both named "a"/],
    ['a,,b\n', /field 2 has no name/],
    ['a,""\n', /field 2 has no name/],
    ['\n', /field 1 has no name/],
    ['a,"b\n1,2\n', /unterminated/],
    [Buffer.from('a,\xff\n1,2\n', 'latin1'), /UTF8/],
  ])('refuses the header of %j', async (text, message) => {
    await expect(chunks(text)).rejects.toMatchObject({
      code: 'bad-header',
      message: expect.stringMatching(message),
    });
  });

  test('an empty file, a lone byte order mark and a lone header have no rows', async () => {
    expect(await chunks('')).toEqual([]);
    expect(await chunks('\ufeff')).toEqual([]);
    expect(await chunks('a,b')).toEqual([]);
    expect(await chunks('a,b\r\n')).toEqual([]);
  });

  test('a quote open at the end is a defect of the last record, with its text', async () => {
    const read = await chunks('a\n1\n"2\n3');
    expect(rows(read)).toEqual([
      [0, ['1']],
      [1, '22P04'],
    ]);
    expect([...read.at(-1)!.defects!.values()]).toEqual([
      { kind: 'malformed', refusal: { code: '22P04', reason: 'unterminated quoted field' }, record: '"2\n3' },
    ]);
  });

  test('a quote that swallows the rest of the file is told, and little of what it swallowed is kept', async () => {
    const problems: Problem[] = [];
    const text = `id,t\n${Array.from({ length: 50_000 }, (_, i) => (i === 10 ? `${i},"öops` : `${i},röw`)).join('\n')}\n`;
    const read = await chunks(text, { problem: (problem) => problems.push(problem) }, 4_000);
    expect(problems).toEqual([
      {
        name: 'unterminated-quote',
        message: expect.stringMatching(/^f\.csv: a quote in record 11 \(from byte 75\).* the 49989 lines after it/),
        incomplete: true,
      },
    ]);
    const last = read.at(-1)!;
    expect(last.span).toMatchObject({ from: 10, rows: 1, next: { row: 11, token: Buffer.byteLength(text) } });
    expect(last.data.length).toBeLessThanOrEqual(65_536);
    const [defect] = [...last.defects!.values()];
    expect(defect).toMatchObject({ kind: 'malformed', record: expect.stringMatching(/^10,"öops\n11,röw\n/) });
    expect(rows(read)).toHaveLength(11);
  });

  test('refuses a record that is too long, and says where', async () => {
    const long = `a\n1\n"${'x'.repeat(200)}`;
    await expect(chunks(long, { maxRecordBytes: 100 })).rejects.toMatchObject({
      code: 'record-too-large',
      message: expect.stringMatching(/^f\.csv, row 2 \(from byte 4\):.*quote is still open/),
    });
    await expect(chunks('x'.repeat(200), { maxRecordBytes: 100 })).rejects.toMatchObject({ code: 'record-too-large' });
  });

  test('reads on from any chunk with the same rows under the same numbers', async () => {
    const field = fc.constantFrom('', 'a', '"b,\n"', '"x""y"', 'é');
    const file = fc.array(fc.tuple(field, field), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        file,
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.boolean(),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        async (records, eol, ended, size, otherSize) => {
          const lines = ['\ufeffa,b', ...records.map((fields) => fields.join(','))];
          const text = lines.join(eol) + (ended ? eol : '');
          const all = await chunks(text, {}, size);
          expect(rows(all).map(([row]) => row)).toEqual(records.map((_, i) => i));
          for (const { span } of all) {
            const from: ResumePoint = JSON.parse(JSON.stringify(span.next));
            const rest = await chunks(text, { from }, otherSize);
            expect(rows(rest)).toEqual(rows(all).slice(from.row));
          }
          const end = all.at(-1)?.span.next.token;
          if (end !== undefined) expect(end).toBe(Buffer.byteLength(text));
        },
      ),
    );
  });

  test('refuses to go on in a file that has become shorter, or from what is no offset', async () => {
    await expect(chunks('a\n1\n', { from: { row: 5, token: 50 } })).rejects.toMatchObject({ code: 'source-shrank' });
    await expect(chunks('', { from: { row: 5, token: 50 } })).rejects.toMatchObject({ code: 'source-shrank' });
    await expect(chunks('a\n', { from: { row: 0, token: 'x' } })).rejects.toMatchObject({ code: 'bad-resume-point' });
  });
});
