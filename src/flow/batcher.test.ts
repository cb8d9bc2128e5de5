import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Batch, Cell, Chunk, CsvLayout, Defect } from '../contract/index.js';
import { type Arrival, Batcher } from './batcher.js';
import { ByteChannel } from './channel.js';
import { compileMapper } from './mapping.js';

const never = new AbortController().signal;
const layout: CsvLayout = { fields: ['n'], delimiter: ',', quote: '"', null: '', eol: '\n' };

/** Chunks of one split whose row i holds the number i, in the sizes given. */
function chunks(kind: 'csv' | 'records', sizes: readonly number[], defects?: ReadonlyMap<number, Defect>): Chunk[] {
  let from = 0;
  return sizes.map((rows) => {
    const numbers = Array.from({ length: rows }, (_, i) => from + i);
    const span = { split: 's', from, rows, next: { row: from + rows, token: from + rows } };
    const mine = new Map(
      [...(defects ?? [])].flatMap(([row, d]) => (row >= from && row < from + rows ? [[row - from, d]] : [])),
    );
    from += rows;
    if (kind === 'records')
      return { kind, span, bytes: rows * 10, defects: mine, records: numbers.map((n) => ({ n })) };
    const lines = numbers.map((n) => `${n}\n`);
    let end = 0;
    const ends = Uint32Array.from(lines, (line) => (end += line.length));
    return { kind, span, bytes: end, defects: mine, layout, data: Buffer.from(lines.join('')), ends };
  });
}

async function batches(
  arriving: readonly Chunk[],
  size: { rows: number; bytes: number },
): Promise<{ batches: Batch[]; batcher: Batcher }> {
  const channel = new ByteChannel<Arrival>(Number.POSITIVE_INFINITY);
  let start = { row: 0, token: null as unknown };
  for (const chunk of arriving) {
    await channel.put({ chunk, start, bytes: chunk.bytes, first: 0, last: chunk.span.rows }, never);
    start = chunk.span.next;
  }
  channel.close();
  const batcher = new Batcher(channel, compileMapper(undefined, ['n'], false), {
    ...size,
    decodedBytes: 1e9,
    age: 1_000,
  });
  const all: Batch[] = [];
  for (let batch = await batcher.next(never); batch; batch = await batcher.next(never)) all.push(batch);
  return { batches: all, batcher };
}

function numbers(batch: Batch): number[] {
  const out: number[] = [];
  const into: Cell[] = [];
  for (let row = 0; row < batch.rows; row++) {
    if (batch.refused.has(row) || batch.duplicates.has(row)) continue;
    expect(batch.cells(row, into)).toBeUndefined();
    out.push(Number(into[0]));
  }
  return out;
}

const sizes = fc.array(fc.nat(12), { minLength: 1, maxLength: 12 });
const kind = fc.constantFrom('csv' as const, 'records' as const);

describe('Batcher', () => {
  test('gives every row once, in order, in batches within their bounds, whatever the chunks were', async () => {
    await fc.assert(
      fc.asyncProperty(
        kind,
        sizes,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 60 }),
        async (kind, sizes, rows, bytes) => {
          const total = sizes.reduce((a, b) => a + b, 0);
          const { batches: all } = await batches(chunks(kind, sizes), { rows, bytes });
          expect(all.flatMap(numbers)).toEqual(Array.from({ length: total }, (_, i) => i));
          let next = 0;
          for (const batch of all) {
            expect(batch.rows).toBeGreaterThan(0);
            expect(batch.rows).toBeLessThanOrEqual(rows);
            expect(batch.rows === 1 || batch.bytes <= bytes + sizes.length).toBe(true);
            for (const span of batch.spans) {
              expect(span.from).toBe(next);
              next += span.rows;
              expect(span.next.row).toBeLessThanOrEqual(next);
            }
          }
          expect(next).toBe(total);
        },
      ),
    );
  });

  test('a part of a batch holds just its rows, and their spans', async () => {
    await fc.assert(
      fc.asyncProperty(kind, sizes, fc.nat(), fc.nat(), async (kind, sizes, a, b) => {
        const [batch] = (await batches(chunks(kind, sizes), { rows: 1_000, bytes: 1e9 })).batches;
        if (!batch) return;
        const from = Math.min(a, b) % (batch.rows + 1);
        const to = Math.max(from, Math.max(a, b) % (batch.rows + 1));
        const part = batch.part(from, to);
        expect(numbers(part)).toEqual(numbers(batch).slice(from, to));
        expect(part.spans.reduce((sum, span) => sum + span.rows, 0)).toBe(to - from);
      }),
    );
  });

  test('says why it cut', async () => {
    const { batcher } = await batches(chunks('records', [10]), { rows: 4, bytes: 1e9 });
    expect(batcher.cuts).toEqual({ rows: 2, bytes: 0, age: 0, layout: 0, end: 1 });
    const wide = await batches(chunks('records', [10]), { rows: 100, bytes: 30 });
    expect(wide.batcher.cuts).toEqual({ rows: 0, bytes: 3, age: 0, layout: 0, end: 1 });
    const mixed = await batches([...chunks('csv', [2]), ...chunks('records', [2])], { rows: 100, bytes: 1e9 });
    expect(mixed.batcher.cuts).toEqual({ rows: 0, bytes: 0, age: 0, layout: 1, end: 1 });
  });

  test('does not keep rows waiting longer than their age', async () => {
    const channel = new ByteChannel<Arrival>(1e9);
    const batcher = new Batcher(channel, compileMapper(undefined, ['n'], false), {
      rows: 10,
      bytes: 1e9,
      decodedBytes: 1e9,
      age: 20,
    });
    const [chunk] = chunks('records', [3]);
    await channel.put({ chunk: chunk!, start: { row: 0, token: null }, bytes: 1, first: 0, last: 3 }, never);
    const batch = await batcher.next(never);
    expect(batch?.rows).toBe(3);
    expect(batcher.cuts.age).toBe(1);
  });

  test('gives what came before the source failed, then the failure', async () => {
    const channel = new ByteChannel<Arrival>(1e9);
    const batcher = new Batcher(channel, compileMapper(undefined, ['n'], false), {
      rows: 10,
      bytes: 1e9,
      decodedBytes: 1e9,
      age: 1_000,
    });
    const [chunk] = chunks('records', [3]);
    await channel.put({ chunk: chunk!, start: { row: 0, token: null }, bytes: 1, first: 0, last: 3 }, never);
    channel.fail(new Error('source died'));
    expect((await batcher.next(never))?.rows).toBe(3);
    await expect(batcher.next(never)).rejects.toThrow('source died');
    await sleep(0);
  });

  test('keeps the row numbers of defects, and the record of each for its reject', async () => {
    const malformed: Defect = {
      kind: 'malformed',
      refusal: { code: 'malformed-json', reason: 'cut' },
      record: '{"n":',
    };
    const defects = new Map<number, Defect>([
      [1, malformed],
      [3, { kind: 'duplicate' }],
    ]);
    const { batches: all } = await batches(chunks('records', [2, 3], defects), { rows: 3, bytes: 1e9 });
    expect(all.flatMap(numbers)).toEqual([0, 2, 4]);
    expect(all[0]!.refused.get(1)).toEqual(malformed.refusal);
    expect(all[0]!.origin(1)).toEqual({ split: 's', row: 1, record: '{"n":' });
    expect(all[0]!.origin(2)).toEqual({ split: 's', row: 2, record: { n: 2 } });
    expect([...all[1]!.duplicates]).toEqual([0]);
  });

  test('passes CSV bytes on only while the layout lines up with the columns', async () => {
    const { batches: all } = await batches(chunks('csv', [2, 2]), { rows: 3, bytes: 1e9 });
    const bytes = all.map((batch) =>
      batch
        .csv!.pieces.map(({ data, ends, first, last }) =>
          Buffer.from(data)
            .subarray(first === 0 ? 0 : ends[first - 1]!, ends[last - 1]!)
            .toString(),
        )
        .join(''),
    );
    expect(bytes).toEqual(['0\n1\n2\n', '3\n']);
  });
});
