import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collect } from '../../test/collect.js';
import type { RecordChunk, ResumePoint } from '../contract/index.js';
import { stringifyJson } from './json.js';
import { type NdjsonReadOptions, readNdjson } from './ndjson.js';

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function chunks(text: string | Buffer, size = 7, options: Partial<NdjsonReadOptions> = {}): Promise<RecordChunk[]> {
  return collect(readNdjson(pieces(Buffer.from(text), size), { split: 'f.ndjson', ...options }));
}

/** Every row as its number and its record, or its defect. */
function rows(chunks: readonly RecordChunk[]): [number, unknown][] {
  return chunks.flatMap(({ span, records, defects }) => {
    expect(records.length).toBe(span.rows);
    return records.map((record, i): [number, unknown] => [span.from + i, defects?.get(i) ?? record]);
  });
}

describe('readNdjson', () => {
  test.each([1, 3, 1000])('reads records line by line, %i bytes at a time', async (size) => {
    const text = '\ufeff{"a":1}\r\n\n  \t\n{"a":"é\\n","b":[null,{}]}\n{"a":2}';
    expect(rows(await chunks(text, size))).toEqual([
      [0, { a: 1 }],
      [1, { a: 'é\n', b: [null, {}] }],
      [2, { a: 2 }],
    ]);
    expect((await chunks(text, size)).at(-1)?.span.next).toEqual({ row: 3, token: Buffer.byteLength(text) });
  });

  test('keeps numbers digit for digit, and a field named __proto__', async () => {
    const text = '{"n":9007199254740993,"m":1.10,"e":1e400,"__proto__":{"x":1}}';
    const [[, record] = []] = rows(await chunks(`${text}\n{"__proto__":null}\n`));
    expect(stringifyJson(record)).toBe(text);
    expect(Object.keys(record as object)).toContain('__proto__');
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype);
  });

  test.each([
    ['{"a":', 'malformed-json', /^malformed JSON: /],
    ['{"a":1} {"a":2}', 'malformed-json', /^malformed JSON: /],
    ['[1,2]', 'not-an-object', /object is expected/],
    ['"text"', 'not-an-object', /object is expected/],
    ['null', 'not-an-object', /object is expected/],
    ['1.10', 'not-an-object', /object is expected/],
  ])('makes a defect of %s, and reads on', async (line, code, reason) => {
    const defect = { kind: 'malformed', refusal: { code, reason: expect.stringMatching(reason) }, record: line };
    expect(rows(await chunks(`{"a":1}\n${line}\r\n{"a":3}\n${line}`, 5))).toEqual([
      [0, { a: 1 }],
      [1, defect],
      [2, { a: 3 }],
      [3, defect],
    ]);
  });

  test('makes a defect of a line that is not UTF-8, and of no other', async () => {
    const bad = Buffer.from('{"a":"\xe9"}', 'latin1');
    const text = Buffer.concat([Buffer.from('{"a":"é"}\n'), bad, Buffer.from('\n \r\n{"a":"\ufffd"}\n')]);
    expect(rows(await chunks(text, 1000))).toEqual([
      [0, { a: 'é' }],
      [
        1,
        {
          kind: 'malformed',
          refusal: { code: '22021', reason: expect.stringContaining('UTF8') },
          record: { base64: bad.toString('base64') },
        },
      ],
      [2, { a: '\ufffd' }],
    ]);
  });

  test('refuses a line that is too long, and says where', async () => {
    await expect(chunks(`{"a":1}\n${'x'.repeat(200)}`, 50, { maxRecordBytes: 100 })).rejects.toMatchObject({
      code: 'record-too-large',
      message: expect.stringMatching(/^f\.ndjson, row 2 \(from byte 8\)/),
    });
  });

  test('reads on from any chunk with the same rows under the same numbers', async () => {
    const line = fc.constantFrom('{"a":1}', '{"b":"é"}', '', ' \r', '[]', '{', '{"c":"\\u0000"}\r');
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 20 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 30 }),
        async (lines, ended, size, otherSize) => {
          const text = lines.join('\n') + (ended ? '\n' : '');
          const all = await chunks(text, size);
          expect(rows(all).length).toBe(lines.filter((line) => line.trim() !== '').length);
          for (const { span } of all) {
            const from: ResumePoint = JSON.parse(JSON.stringify(span.next));
            expect(rows(await chunks(text, otherSize, { from }))).toEqual(rows(all).slice(from.row));
          }
        },
      ),
    );
  });
});
