import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Chunk, CsvLayout } from '../contract/index.js';
import type { Arrival } from './batcher.js';
import { Sampler } from './sample.js';

const layout: CsvLayout = { fields: ['n'], delimiter: ',', quote: '"', null: '', eol: '\n' };

/** Rows `[from, from + rows)` of a split, row i holding the number i. */
function arrival(kind: 'csv' | 'records', split: string, from: number, rows: number, width = 10): Arrival {
  const span = { split, from, rows, next: { row: from + rows, token: null } };
  const numbers = Array.from({ length: rows }, (_, i) => from + i);
  const lines = numbers.map((n) => `${n}\n`);
  let end = 0;
  const ends = Uint32Array.from(lines, (line) => (end += line.length));
  const chunk: Chunk =
    kind === 'csv'
      ? { kind, span, bytes: end, layout, data: Buffer.from(lines.join('')), ends }
      : { kind, span, bytes: rows * width, records: numbers.map((n) => ({ n })) };
  return { bytes: chunk.bytes, chunk, start: { row: from, token: null }, first: 0, last: rows };
}

function sampled(arrivals: Iterable<Arrival>): { split: string; row: number; holds: string }[] {
  const sampler = new Sampler();
  for (const one of arrivals) sampler.take(one);
  return sampler.arrivals.map(({ chunk }) => ({
    split: chunk.span.split,
    row: chunk.span.from,
    holds: chunk.kind === 'csv' ? Buffer.from(chunk.data).toString().trimEnd() : String(chunk.records[0]?.n),
  }));
}

test('a sample depends on the rows alone, not on how they were cut into chunks, and holds them as they are', () => {
  const kind = fc.constantFrom('csv' as const, 'records' as const);
  fc.assert(
    fc.property(kind, fc.array(fc.integer({ min: 1, max: 2_000 }), { minLength: 1, maxLength: 8 }), (kind, cuts) => {
      const rows = cuts.reduce((sum, cut) => sum + cut, 0);
      let from = 0;
      const pieces = cuts.map((cut) => {
        from += cut;
        return arrival(kind, 's', from - cut, cut);
      });
      const sample = sampled(pieces);
      expect(sample).toEqual(sampled([arrival(kind, 's', 0, rows)]));
      expect(sample.length).toBe(Math.min(rows, 1_000));
      expect(sample.every(({ row, holds }) => holds === String(row))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('a sample is spread over the whole', () => {
  const sample = sampled([arrival('records', 'a', 0, 50_000), arrival('csv', 'b', 0, 50_000)]);
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const { split, row } of sample) tenths[Math.floor(((split === 'a' ? 0 : 50_000) + row) / 10_000)]! += 1;
  expect(sample.length).toBe(1_000);
  // 100 each on average, with a standard deviation of 9.5.
  for (const count of tenths) expect(Math.abs(count - 100)).toBeLessThan(50);
});

test('a sample of large records holds fewer of them', () => {
  const sample = sampled([arrival('records', 's', 0, 500, 1024 * 1024)]);
  expect(sample.length).toBe(16);
});
