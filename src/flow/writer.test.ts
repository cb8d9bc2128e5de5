import { describe, expect, test } from 'vitest';
import type { Batch, Context, FailureClass, Reject, Sink, WriteResult } from '../contract/index.js';
import { InDoubt, NotWritten } from '../errors.js';
import { SlicedBatch } from './batch.js';
import { compileMapper } from './mapping.js';
import { writeBatch } from './writer.js';

const log = { debug() {}, info() {}, warn() {} };
const context: Context = { run: 'r', job: 'j', epoch: 1, signal: new AbortController().signal, log };
const backoff = { first: 1, longest: 2, total: 300 };

function batchOf(rows: number): Batch {
  const records = Array.from({ length: rows }, (_, n) => ({ n }));
  const span = { split: 's', from: 0, rows, next: { row: rows, token: null } };
  const chunk = { kind: 'records', span, bytes: rows, records } as const;
  const slice = { chunk, first: 0, last: rows, start: { row: 0, token: null } };
  return new SlicedBatch([slice], compileMapper(undefined, ['n'], false));
}

/** Keeps what it is given, but refuses whole batches as `judge` says: the flow's side of a sink, without a database. */
class ScriptedSink implements Sink {
  readonly name = 'scripted';
  readonly identity = 'scripted';
  readonly traits = { maxBatchRows: 1e6, maxBatchBytes: 1e9, guarantee: 'at least once', rewrites: false } as const;
  readonly held: number[] = [];
  readonly tries: number[][] = [];
  readonly #judge: (numbers: number[], attempt: number) => Error | undefined;

  constructor(judge: (numbers: number[], attempt: number) => Error | undefined) {
    this.#judge = judge;
  }
  async plan() {
    return { columns: ['n'], statements: [], notes: [] };
  }
  async open() {}
  async [Symbol.asyncDispose]() {}
  async write(batch: Batch): Promise<WriteResult> {
    const numbers: number[] = [];
    const rejects: Reject[] = [];
    const into: unknown[] = [];
    for (let row = 0; row < batch.rows; row++) {
      const refusal = batch.refused.get(row);
      if (refusal) rejects.push({ ...refusal, ...batch.origin(row) });
      else {
        batch.cells(row, into);
        numbers.push(Number(into[0]));
      }
    }
    this.tries.push(numbers);
    const failure = this.#judge(numbers, this.tries.length);
    if (failure) throw failure;
    this.held.push(...numbers);
    return { written: numbers.length, unchanged: 0, duplicate: 0, rejects };
  }
  classify(error: unknown): FailureClass {
    const code = error instanceof NotWritten ? error.code : '';
    return code === '22P02' ? 'divide' : code === 'throttled' || code === 'retry' ? code : 'fatal';
  }
}

async function write(
  rows: number,
  judge: (numbers: number[], attempt: number) => Error | undefined,
  onSettled: () => void = () => {},
) {
  const sink = new ScriptedSink(judge);
  const results: WriteResult[] = [];
  const settled: number[] = [];
  let retries = 0;
  const done = writeBatch(sink, batchOf(rows), context, backoff, {
    settled(part, result) {
      onSettled();
      results.push(result);
      for (const span of part.spans) for (let i = 0; i < span.rows; i++) settled.push(span.from + i);
    },
    retried: () => retries++,
  });
  const failure = await done.then(
    () => undefined,
    (error: unknown) => error,
  );
  return { sink, settled, retries, failure, rejects: results.flatMap((result) => result.rejects) };
}

const bad = (row?: number) =>
  new NotWritten('22P02', 'bad value', { row, refusal: { code: '22P02', reason: 'bad value', column: 'n' } });

describe('writeBatch', () => {
  test('divides until only the rows at fault are refused, and settles every row once', async () => {
    const faulty = new Set([3, 40, 41, 99]);
    const { sink, settled, rejects } = await write(100, (numbers) =>
      numbers.some((n) => faulty.has(n)) ? bad() : undefined,
    );
    expect(sink.held.sort((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, i) => i).filter((n) => !faulty.has(n)),
    );
    expect(rejects.map(({ row, code, column }) => ({ row, code, column }))).toEqual(
      [...faulty].map((row) => ({ row, code: '22P02', column: 'n' })),
    );
    expect(settled.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('cuts around the row the sink named, in few tries', async () => {
    const { sink, rejects } = await write(1000, (numbers) =>
      numbers.includes(700) ? bad(numbers.indexOf(700)) : undefined,
    );
    expect(rejects.map((reject) => reject.row)).toEqual([700]);
    expect(sink.tries.length).toBeLessThanOrEqual(5);
  });

  test('survives a sink that names the wrong row', async () => {
    const { sink, rejects } = await write(20, (numbers) => (numbers.includes(5) ? bad(0) : undefined));
    expect(rejects.map((reject) => reject.row)).toEqual([5]);
    expect(sink.held.length).toBe(19);
  });

  test('tries again what failed for the moment', async () => {
    const { sink, retries } = await write(3, (_, attempt) =>
      attempt < 4 ? new NotWritten('retry', 'gone') : undefined,
    );
    expect(sink.held).toEqual([0, 1, 2]);
    expect(retries).toBe(3);
  });

  test('an error after the commit is not taken for one of the write, which would be tried again', async () => {
    const after = bad();
    const { sink, failure } = await write(
      3,
      () => undefined,
      () => {
        throw after;
      },
    );
    expect(failure).toBe(after);
    expect(sink.tries).toHaveLength(1);
  });

  test('gives up after the time for trying, with the cause', async () => {
    const { failure, sink } = await write(3, () => new NotWritten('throttled', 'too many connections'));
    expect(failure).toMatchObject({ code: 'retries-exhausted', cause: { code: 'throttled' } });
    expect(sink.held).toEqual([]);
  });

  test('throws at once what no batch would survive', async () => {
    const { failure, sink } = await write(3, () => new NotWritten('42P01', 'no such table'));
    expect(failure).toMatchObject({ code: '42P01' });
    expect(sink.tries.length).toBe(1);
  });

  test('an abort does not hide that a part may have landed', async () => {
    const stop = new AbortController();
    const doubt = new InDoubt('commit-in-doubt', 'who knows');
    const sink = new ScriptedSink(() => {
      stop.abort(new Error('enough'));
      return doubt;
    });
    const events = { settled() {}, retried() {} };
    await expect(writeBatch(sink, batchOf(2), { ...context, signal: stop.signal }, backoff, events)).rejects.toBe(
      doubt,
    );
  });
});
