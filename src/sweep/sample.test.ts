import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { collect } from '../../test/collect.js';
import { readContext } from '../../test/read-context.js';
import { file } from '../sources/file/index.js';
import { iterable } from '../sources/iterable/index.js';
import { sampleSource, takeSample } from './sample.js';

const bounds = { rows: 1_000_000, bytes: 1e9, seconds: 60 };
const records = (count: number) => Array.from({ length: count }, (_, id) => ({ id }));

describe('a sample', () => {
  test('of a source that ends is all of it, and says so', async () => {
    const sample = await takeSample(iterable(records(10)), bounds, readContext());
    expect(sample).toMatchObject({ rows: 10, whole: true, total: { rows: 10, reckoned: false } });
  });

  test('ends at its rows, and knows how many there are where the source does', async () => {
    const sample = await takeSample(iterable(records(5_000)), { ...bounds, rows: 7 }, readContext());
    expect(sample).toMatchObject({ rows: 7, whole: false, total: { rows: 5_000, reckoned: false } });
  });

  test('ends at its bytes', async () => {
    const sample = await takeSample(iterable(records(50_000)), { ...bounds, bytes: 1_000 }, readContext());
    expect(sample.whole).toBe(false);
    expect(sample.rows).toBeLessThan(50_000);
  });

  test('of no records is an error', async () => {
    await expect(takeSample(iterable([]), bounds, readContext())).rejects.toMatchObject({ code: 'empty-source' });
  });

  test('comes from memory in the same order, each time anew', async () => {
    async function* some() {
      yield records(3);
      yield [{ id: 3 }];
    }
    const sample = await takeSample(iterable(some()), bounds, readContext());
    const source = sampleSource(sample);
    const [split] = await collect(source.splits(readContext()));
    expect(split).toEqual({ id: 'sample', rows: 4 });
    for (let time = 0; time < 2; time++) {
      const chunks = await collect(source.read(split!, undefined, readContext()));
      expect(chunks.flatMap((chunk) => (chunk.kind === 'records' ? chunk.records : []))).toEqual(records(4));
      const ends = chunks.map(({ span }) => span.from + span.rows);
      expect(chunks.map(({ span }) => span.from)).toEqual([0, ...ends.slice(0, -1)]);
    }
  });
});

describe('a sample of a file', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-sample-'));
    path = join(folder, 'rows.csv');
    const lines = Array.from({ length: 300_000 }, (_, i) => `${i},${'x'.repeat(20)}`);
    await writeFile(path, `id,name\n${lines.join('\n')}\n`);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('keeps its bytes though the source uses its buffers again, and reckons the rows in all', async () => {
    const source = file({ path });
    const sample = await takeSample(source, { ...bounds, rows: 250_000 }, readContext());
    await source[Symbol.asyncDispose]();
    expect(sample.total?.reckoned).toBe(true);
    expect(sample.total?.rows).toBeGreaterThan(285_000);
    expect(sample.total?.rows).toBeLessThan(315_000);
    const text = sample.chunks
      .map((chunk) => (chunk.kind === 'csv' ? Buffer.from(chunk.data).toString() : ''))
      .join('');
    const ids = text
      .trimEnd()
      .split('\n')
      .map((line) => Number.parseInt(line, 10));
    expect(ids).toHaveLength(250_000);
    expect(ids.every((id, i) => id === i)).toBe(true);
  });
});
