import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkPool, CopyText } from './copy-text.js';
import { dateText } from './date-text.js';
import type { TargetColumn } from './target.js';

const column: TargetColumn = {
  name: 'note',
  type: 'text',
  baseType: 'text',
  category: 'S',
  typmod: -1,
  domain: false,
  notNull: false,
  hasDefault: false,
  identity: undefined,
  toldBy: 'equality',
};

const written = (out: CopyText) => Buffer.concat(out.take(true)).toString();

function escaped(text: string): string {
  const letters: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
  return text.replace(/[\\\t\n\r]/g, (character) => letters[character]!);
}

describe('CopyText', () => {
  test('writes any text that can be stored, escaped, in UTF-8', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.stringMatching(/^[\\\t\n\ra-c]*$/));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), (texts) => {
        const out = new CopyText(new ChunkPool());
        const taken: string[] = [];
        for (const text of texts) {
          const storable = !text.includes('\0') && !/\p{Surrogate}/u.test(text);
          const refusal = out.text(text, column);
          expect(refusal?.code).toBe(storable ? undefined : '22021');
          if (refusal === undefined) {
            out.endRow();
            taken.push(`${escaped(text)}\n`);
          } else out.dropRow();
        }
        expect(written(out)).toBe(taken.join(''));
      }),
    );
  });

  test.each(['a\0', `${'x'.repeat(100)}\0`, '\ud800', '\udc00a', `${'y'.repeat(100)}\ud83d`])(
    'refuses %j, and the row before it stays',
    (text) => {
      const out = new CopyText(new ChunkPool());
      out.null();
      out.endRow();
      out.tab();
      expect(out.text(text, column)).toMatchObject({ code: '22021', column: 'note' });
      out.dropRow();
      expect(written(out)).toBe('\\N\n');
    },
  );

  test('writes integers of 32 bits', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const out = new CopyText(new ChunkPool());
        out.integer(value);
        out.endRow();
        expect(written(out)).toBe(`${value}\n`);
      }),
      { examples: [[-2147483648], [2147483647], [0], [-1], [9], [10], [99], [100]] },
    );
  });

  test('writes a number of two decimals as JavaScript does, and leaves others', () => {
    const cents = fc.integer().map((hundreds) => hundreds / 100);
    fc.assert(
      fc.property(fc.oneof(cents, fc.double({ noNaN: true })), (value) => {
        const out = new CopyText(new ChunkPool());
        const taken = out.decimal(value);
        out.endRow();
        expect(written(out)).toBe(taken ? `${value}\n` : '\n');
      }),
      { examples: [[0.1], [0.29], [-0.07], [1.005], [1e21], [4.35], [-0], [21474836.47]] },
    );
    expect(new CopyText(new ChunkPool()).decimal(12.5)).toBe(true);
  });

  test('writes moments as dateText does', () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => {
        const out = new CopyText(new ChunkPool());
        out.moment(date.getTime());
        out.endRow();
        expect(written(out)).toBe(`${dateText(date.getTime())}\n`);
      }),
    );
  });

  test('writes arrays of texts and nulls as literals, and leaves others', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 100 }),
      fc.stringMatching(/^[\\"\t\n\r,{}a-c]{0,90}$/),
    );
    const other = fc.oneof(fc.integer(), fc.constant([]), fc.date());
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 30, arbitrary: text }, { weight: 5, arbitrary: fc.constant(null) }, other)),
        (cells) => {
          const out = new CopyText(new ChunkPool());
          out.text('before', column);
          const taken = out.texts(cells);
          out.endRow();
          const storable = cells.every(
            (cell) =>
              cell === null || (typeof cell === 'string' && !cell.includes('\0') && !/\p{Surrogate}/u.test(cell)),
          );
          expect(taken).toBe(storable);
          const items = cells.map((cell) => (cell === null ? 'NULL' : `"${String(cell).replace(/["\\]/g, '\\$&')}"`));
          expect(written(out)).toBe(`before${taken ? escaped(`{${items.join(',')}}`) : ''}\n`);
        },
      ),
      { examples: [[[]], [['']], [[null]], [['a"b\\c\td', 'x'.repeat(70), `${'y'.repeat(70)}"`]]] },
    );
  });

  test('rows go on from chunk to chunk, and one larger than a chunk is whole', () => {
    const out = new CopyText(new ChunkPool());
    const lines = [10, 70_000, 3, 65_536, 200_000, ...Array.from({ length: 500 }, (_, n) => n)].map((n) =>
      'ä'.repeat(n),
    );
    const chunks: Buffer[] = [];
    for (const line of lines) {
      out.text(line, column);
      out.endRow();
      chunks.push(...out.take(false));
    }
    chunks.push(...out.take(true));
    expect(Buffer.concat(chunks).toString()).toBe(lines.map((line) => `${line}\n`).join(''));
    for (const chunk of chunks) expect(chunk.at(-1)).toBe(10);
  });

  test('chunks given back are used again', () => {
    const pool = new ChunkPool();
    const out = new CopyText(pool);
    const memory = new Set<ArrayBufferLike>();
    for (let row = 0; row < 20_000; row++) {
      out.text(`row ${row} of those that fill a chunk after some time`, column);
      out.endRow();
      for (const chunk of out.take(false)) {
        memory.add(chunk.buffer);
        pool.give(chunk);
      }
    }
    // One being filled, one given back.
    expect(memory.size).toBe(2);
  });
});
