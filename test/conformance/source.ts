import { expect, test } from 'vitest';
import type { Chunk, ReadContext, ResumePoint, Source, Split } from '../../src/contract/index.js';
import { parseCsvRecord } from '../../src/formats/csv-record.js';

/** What a source must give to be put through the suite. */
export interface SourceSubject {
  /** A fresh source over the same records each time; at least 3 chunks of them. */
  make(): Promise<Source> | Source;
  /** How many records it gives in all. */
  readonly rows: number;
}

function readContext(signal: AbortSignal = new AbortController().signal): ReadContext {
  const log = { debug() {}, info() {}, warn() {} };
  return { run: 'run', job: 'job', epoch: 1, signal, log, problem() {} };
}

async function splitsOf(source: Source): Promise<Split[]> {
  const splits: Split[] = [];
  for await (const split of source.splits(readContext())) splits.push(split);
  return splits;
}

/** Every row of a chunk as something comparable. */
function rowsOf(chunk: Chunk): unknown[] {
  return Array.from({ length: chunk.span.rows }, (_, i) => {
    if (chunk.defects?.has(i)) return { defect: chunk.defects.get(i) };
    if (chunk.kind === 'records') return chunk.records[i];
    const fields: (string | null)[] = [];
    const refusal = parseCsvRecord(chunk.layout, chunk.data, i === 0 ? 0 : chunk.ends[i - 1]!, chunk.ends[i]!, fields);
    return refusal ?? fields.slice();
  });
}

async function readAll(
  source: Source,
  split: Split,
  from?: ResumePoint,
): Promise<{ chunks: Chunk[]; rows: unknown[] }> {
  const chunks: Chunk[] = [];
  const rows: unknown[] = [];
  for await (const chunk of source.read(split, from, readContext())) {
    chunks.push(chunk);
    rows.push(...rowsOf(chunk));
  }
  return { chunks, rows };
}

/** The suite every source must pass. */
export function sourceConformance(subject: SourceSubject): void {
  test('names its splits, the same ones each time', async () => {
    await using first = await subject.make();
    await using second = await subject.make();
    const ids = (await splitsOf(first)).map((split) => split.id);
    expect(ids.length).toBeGreaterThan(0);
    expect(new Set(ids).size).toBe(ids.length);
    expect((await splitsOf(second)).map((split) => split.id)).toEqual(ids);
    expect(first.identity).toBe(second.identity);
  });

  test('numbers its rows without a hole, and counts the bytes of every chunk', async () => {
    await using source = await subject.make();
    let rows = 0;
    for (const split of await splitsOf(source)) {
      let next = 0;
      for (const chunk of (await readAll(source, split)).chunks) {
        expect(chunk.span.split).toBe(split.id);
        expect(chunk.span.from).toBe(next);
        next += chunk.span.rows;
        expect(chunk.span.next.row).toBeLessThanOrEqual(next);
        if (chunk.span.rows > 0) expect(chunk.bytes).toBeGreaterThan(0);
        const held = chunk.kind === 'records' ? chunk.records.length : chunk.ends.length;
        expect(held).toBe(chunk.span.rows);
        if (chunk.kind === 'csv') expect(chunk.ends.at(-1)).toBe(chunk.data.length);
      }
      rows += next;
    }
    expect(rows).toBe(subject.rows);
  });

  test('reads on from any point it named, with the same rows', async () => {
    await using source = await subject.make();
    const [split] = await splitsOf(source);
    const { chunks, rows } = await readAll(source, split!);
    expect(chunks.length).toBeGreaterThanOrEqual(3);
    for (const chunk of [chunks[0]!, chunks[chunks.length >>> 1]!, chunks.at(-1)!]) {
      // Tokens are kept in a ledger: they must survive JSON.
      const point = JSON.parse(JSON.stringify(chunk.span.next)) as ResumePoint;
      await using again = await subject.make();
      const rest = await readAll(again, split!, point);
      expect(rest.rows).toEqual(rows.slice(point.row));
      if (rest.chunks[0]) expect(rest.chunks[0].span.from).toBe(point.row);
    }
  });

  test('lets go of everything when its consumer stops early', async () => {
    await using source = await subject.make();
    const [split] = await splitsOf(source);
    for await (const chunk of source.read(split!, undefined, readContext())) {
      expect(chunk.span.from).toBe(0);
      break;
    }
  });

  test('stops when its signal is aborted', async () => {
    await using source = await subject.make();
    const [split] = await splitsOf(source);
    const stop = new AbortController();
    let chunks = 0;
    const reading = (async () => {
      for await (const _ of source.read(split!, undefined, readContext(stop.signal))) {
        chunks += 1;
        stop.abort(new Error('stopped'));
      }
    })();
    await reading.catch((error: unknown) => expect(String(error)).toMatch(/stopped|abort/i));
    expect(chunks).toBeLessThan(3);
  });
}
