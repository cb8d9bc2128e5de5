import { describe, expect, test } from 'vitest';
import type { Batch, Context, Defect, Intake, Refusal, Row, Sink, WriteResult } from '../../src/contract/index.js';
import { SlicedBatch } from '../../src/flow/batch.js';
import { compileMapper } from '../../src/flow/mapping.js';
import { writeBatch } from '../../src/flow/writer.js';

/** A target with the columns `id` (an integer, its key) and `name` (text), empty at first. */
interface SinkTarget extends AsyncDisposable {
  /** A sink on that target; a fresh one each time. */
  sink(): Sink;
  /** What the target holds now, by id. */
  held(): Promise<{ id: number; name: string | null }[]>;
}

export interface SinkSubject {
  target(): Promise<SinkTarget>;
  /** A record of those two columns that the target itself refuses. */
  readonly bad: Row;
}

const columns = ['id', 'name'];
const backoff = { first: 5, longest: 50, total: 5_000 };

function contextOf(run: string, signal: AbortSignal = new AbortController().signal): Context {
  return { run, job: 'conformance', epoch: 1, signal, log: { debug() {}, info() {}, warn() {} } };
}

function batchOf(records: readonly Row[], from = 0, defects?: ReadonlyMap<number, Defect>): Batch {
  const rows = records.length;
  const span = { split: 's', from, rows, next: { row: from + rows, token: from + rows } };
  const chunk = { kind: 'records', span, bytes: rows * 40, records, ...(defects && { defects }) } as const;
  const slice = { chunk, first: 0, last: rows, start: { row: from, token: from } };
  return new SlicedBatch([slice], compileMapper(undefined, columns, false));
}

function numbered(n: number, from = 0): Row[] {
  return Array.from({ length: n }, (_, i) => ({ id: from + i, name: `n${from + i}` }));
}

const intake: Intake = { columns, sample: [[1, 'one']], textual: false, ignoreExtra: false };

async function opened(sink: Sink, run = 'conformance-run'): Promise<Context> {
  const context = contextOf(run);
  await sink.plan(intake, context);
  await sink.open(context);
  const request = {
    ...context,
    resume: 'no',
    source: 's',
    sink: sink.identity,
    holder: 'suite',
    mayBeAlive: () => true,
    columns,
    fingerprints: {},
  } as const;
  const begun = await sink.ledger?.begin(request, context.signal);
  return { ...context, epoch: begun?.epoch ?? 1 };
}

const total = ({ written, unchanged, duplicate, rejects }: WriteResult) =>
  written + unchanged + duplicate + rejects.length;

/** The suite every sink must pass. */
export function sinkConformance(subject: SinkSubject): void {
  test('plans without changing anything', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const plan = await sink.plan(intake, contextOf('r'));
    expect(plan.columns).toEqual(columns);
    expect(plan.free ?? 1).toBeGreaterThanOrEqual(1);
    expect(await target.held()).toEqual([]);
  });

  test('writes every row of a batch', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    const result = await sink.write(batchOf(numbered(1_000)), context);
    expect(result).toMatchObject({ written: 1_000, unchanged: 0, duplicate: 0, rejects: [] });
    expect(await target.held()).toEqual(numbered(1_000));
    await sink.ledger?.finish('complete', context);
  });

  test('is called in parallel', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    const parts = Array.from({ length: 8 }, (_, i) => batchOf(numbered(100, i * 100), i * 100));
    const results = await Promise.all(parts.map((part) => sink.write(part, context)));
    expect(results.reduce((sum, result) => sum + total(result), 0)).toBe(800);
    expect(await target.held()).toEqual(numbered(800));
  });

  test('keeps null apart from an empty string', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    await sink.write(
      batchOf([
        { id: 1, name: null },
        { id: 2, name: '' },
        { id: 3, name: '\\N' },
      ]),
      context,
    );
    expect(await target.held()).toEqual([
      { id: 1, name: null },
      { id: 2, name: '' },
      { id: 3, name: '\\N' },
    ]);
  });

  test('records refused rows as rejects with their origin, and writes the others', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    const refusal: Refusal = { code: 'test', reason: 'not wanted', column: 'name' };
    const result = await sink.write(batchOf(numbered(5)).refuse(new Map([[3, refusal]])), context);
    expect(result).toMatchObject({
      written: 4,
      rejects: [{ ...refusal, split: 's', row: 3, record: { id: 3, name: 'n3' } }],
    });
    expect((await target.held()).map((row) => row.id)).toEqual([0, 1, 2, 4]);
  });

  test('takes a batch in which no row is left to write', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    const refusal: Refusal = { code: 'test', reason: 'not wanted' };
    const result = await sink.write(batchOf(numbered(1)).refuse(new Map([[0, refusal]])), context);
    expect(result.rejects.length).toBe(1);
    expect(await target.held()).toEqual([]);
  });

  test('has one bad row cost that row only, when the flow divides as the sink asks', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    const records = numbered(200);
    records[123] = subject.bad;
    const results: WriteResult[] = [];
    await writeBatch(sink, batchOf(records), context, backoff, {
      settled: (_, result) => {
        results.push(result);
      },
      retried() {},
    });
    const rejects = results.flatMap((result) => result.rejects);
    expect(rejects.map(({ split, row, record }) => ({ split, row, record }))).toEqual([
      { split: 's', row: 123, record: subject.bad },
    ]);
    expect(rejects[0]!.code).not.toBe('');
    expect(rejects[0]!.reason).not.toBe('');
    expect((await target.held()).length).toBe(199);
    expect(results.reduce((sum, result) => sum + total(result), 0)).toBe(200);
  });

  test('does not write rows that the source gave before, and counts them', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    const batch = batchOf(numbered(5), 0, new Map([[2, { kind: 'duplicate' }]]));
    const result = await sink.write(batch, context);
    expect(result).toMatchObject({ written: 4, duplicate: 1, rejects: [] });
    expect((await target.held()).map((row) => row.id)).toEqual([0, 1, 3, 4]);
  });

  test('writes a part of a batch, and no more', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    const batch = batchOf(numbered(10));
    expect(total(await sink.write(batch.part(3, 6), context))).toBe(3);
    expect(await target.held()).toEqual(numbered(3, 3));
    expect(total(await sink.write(batch.part(0, 3), context))).toBe(3);
    expect(await target.held()).toEqual(numbered(6));
  });

  test('keeps text as it is, whatever its letters', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    const names = ['é', '日本', '\u{1f600}', 'a\tb\nc', "'; --", '"q"', '\\x', 'null', ' pad '];
    const records = names.map((name, id) => ({ id, name }));
    await sink.write(batchOf(records), context);
    expect(await target.held()).toEqual(records);
  });

  test('a record written again replaces itself, where the sink says so', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    if (!sink.traits.rewrites) return expect(sink.traits.guarantee).not.toBe('idempotent');
    await sink.write(batchOf(numbered(50)), context);
    const again = await sink.write(batchOf(numbered(50), 50), context);
    expect(total(again)).toBe(50);
    expect(await target.held()).toEqual(numbered(50));
  });

  test('of a key that comes twice in a batch it keeps one record, where records have a key', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    if (!sink.traits.rewrites) return expect(sink.traits.guarantee).not.toBe('idempotent');
    const result = await sink.write(batchOf([...numbered(3), { id: 1, name: 'again' }]), context);
    expect(result).toMatchObject({ written: 3, duplicate: 1, rejects: [] });
    const held = await target.held();
    expect(held.map((row) => row.id)).toEqual([0, 1, 2]);
    expect(['n1', 'again']).toContain(held[1]?.name);
  });

  test('refuses a record without its key alone, where records have one', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    const context = await opened(sink);
    if (!sink.traits.rewrites) return expect(sink.traits.guarantee).not.toBe('idempotent');
    const result = await sink.write(batchOf([{ id: 1, name: 'a' }, { name: 'b' }, { id: null, name: 'c' }]), context);
    expect(result.written).toBe(1);
    expect(result.rejects.map(({ row, column }) => [row, column])).toEqual([
      [1, 'id'],
      [2, 'id'],
    ]);
    expect(await target.held()).toEqual([{ id: 1, name: 'a' }]);
  });

  test('says what it is: a name, an identity that stays, bounds for batches', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    await using same = target.sink();
    expect(sink.name).toMatch(/^[a-z][a-z0-9-]*$/);
    expect(sink.identity).toBe(same.identity);
    expect(sink.traits.maxBatchRows).toBeGreaterThan(0);
    expect(sink.traits.maxBatchBytes).toBeGreaterThan(0);
  });

  test('is planned, then opened, then written to, in this order', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    await expect(sink.open(contextOf('r'))).rejects.toMatchObject({ code: 'not-planned' });
    await sink.plan(intake, contextOf('r'));
    await expect(sink.write(batchOf(numbered(1)), contextOf('r'))).rejects.toMatchObject({ code: 'not-open' });
    expect(await target.held()).toEqual([]);
  });

  test('plans again after an intake of which nothing is known', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    await sink.plan({ ...intake, columns: [], sample: [] }, contextOf('r'));
    expect((await sink.plan(intake, contextOf('r'))).columns).toEqual(columns);
  });

  test('leaves nothing of a batch behind when its signal was aborted', async () => {
    await using target = await subject.target();
    await using sink = target.sink();
    await opened(sink);
    const stopped = contextOf('conformance-run', AbortSignal.abort(new Error('stopped')));
    await expect(sink.write(batchOf(numbered(10)), stopped)).rejects.toThrow();
    expect(await target.held()).toEqual([]);
  });

  describe('classify', () => {
    test('knows the network from a fault that stays', async () => {
      await using target = await subject.target();
      await using sink = target.sink();
      expect(sink.classify(Object.assign(new Error('x'), { code: 'ECONNRESET' }))).toBe('retry');
      expect(sink.classify(new TypeError('a fault of our own'))).toBe('fatal');
    });
  });

  test('can be disposed whatever was done before', async () => {
    await using target = await subject.target();
    await target.sink()[Symbol.asyncDispose]();
    const sink = target.sink();
    await sink.plan(intake, contextOf('r'));
    await sink[Symbol.asyncDispose]();
  });
}
