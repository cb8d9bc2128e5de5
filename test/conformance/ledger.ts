import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Checkpoint, Context, Ledger, Reject, RunRequest, Span } from '../../src/contract/index.js';
import { parseJson } from '../../src/formats/json.js';

/** A store of ledgers, empty at first. */
interface LedgerStore extends AsyncDisposable {
  /** The ledger as one holder has it; a fresh one each time. */
  ledger(): Ledger;
  /** Settles as a load does, by the ledger or with the rows of a batch. */
  settle(ledger: Ledger, spans: readonly Span[], rejects: readonly Reject[], context: Context): Promise<void>;
  /** Lets a minute pass since every holder was last heard of. */
  silence(): Promise<void>;
}

export interface LedgerSubject {
  store(): Promise<LedgerStore>;
  /** Code of the error for a holder that has lost its run. */
  readonly takenOver: string;
}

const never = new AbortController().signal;

/** A holder that has begun. */
interface Held {
  readonly ledger: Ledger;
  readonly checkpoint: Checkpoint;
  readonly context: Context;
}

function contextOf(run: string, epoch: number, job = 'job'): Context {
  return { run, job, epoch, signal: never, log: { debug() {}, info() {}, warn() {} } };
}

function span(from: number, rows = 10, split = 's'): Span {
  return { split, from, rows, next: { row: from + rows, token: { offset: from + rows } } };
}

const rejectOf = (row: number, split = 's'): Reject => ({ split, row, code: 'X', reason: 'no', record: { row } });

function requestOf(holder: string, change: Partial<RunRequest> = {}): RunRequest {
  const fixed = { run: 'r1', job: 'job', source: 'file:a.csv', sink: 'sink', columns: ['id'] };
  return { ...fixed, fingerprints: { s: 'f1' }, resume: 'no', holder, mayBeAlive: () => false, ...change };
}

async function begin(store: LedgerStore, holder: string, change: Partial<RunRequest> = {}): Promise<Held> {
  const ledger = store.ledger();
  const request = requestOf(holder, change);
  const checkpoint = await ledger.begin(request, never);
  return { ledger, checkpoint, context: contextOf(checkpoint.run, checkpoint.epoch, request.job) };
}

const find = (store: LedgerStore, resume: RunRequest['resume'] = 'latest') =>
  store.ledger().find({ job: 'job', resume }, never);

async function rejectsOf(ledger: Ledger, run: string): Promise<Reject[]> {
  const all: Reject[] = [];
  for await (const reject of ledger.rejects(run, never)) all.push(reject);
  return all;
}

const bySpan = (a: Span, b: Span) => (a.split === b.split ? a.from - b.from : a.split < b.split ? -1 : 1);

/** The suite every ledger must pass. */
export function ledgerConformance(subject: LedgerSubject): void {
  const { takenOver } = subject;

  test('begins a run that nothing stands of, and lists it as running', async () => {
    await using store = await subject.store();
    expect(await store.ledger().runs(never)).toEqual([]);
    expect(await find(store)).toBeUndefined();
    const { checkpoint, ledger } = await begin(store, 'host 1');
    expect(checkpoint).toEqual({
      run: 'r1',
      resumed: false,
      ended: undefined,
      epoch: 1,
      spans: [],
      rejected: 0,
      columns: ['id'],
      fingerprints: { s: 'f1' },
    });
    const [record, ...others] = await ledger.runs(never);
    expect(others).toEqual([]);
    expect(record).toMatchObject({ run: 'r1', job: 'job', source: 'file:a.csv', sink: 'sink', status: 'running' });
    expect(record).toMatchObject({ epoch: 1, rows: 0, rejected: 0, endedAt: undefined, holder: { name: 'host 1' } });
    expect(Math.abs(Date.now() - record!.startedAt.getTime())).toBeLessThan(10_000);
    expect(Math.abs(Date.now() - record!.holder.heartbeat.getTime())).toBeLessThan(10_000);
  });

  test('says after any end what was settled and rejected', async () => {
    await using store = await subject.store();
    const { ledger, context } = await begin(store, 'me');
    const spans = [span(10), span(0), span(0, 3, 'other')];
    await store.settle(ledger, [spans[0]!], [rejectOf(14)], context);
    await store.settle(ledger, spans.slice(1), [], context);
    const found = await find(store);
    expect(found).toMatchObject({ run: 'r1', resumed: true, ended: undefined, epoch: 1, rejected: 1 });
    expect(found?.spans.toSorted(bySpan)).toEqual(spans.toSorted(bySpan));
    await ledger.finish('interrupted', context);
    expect(await find(store)).toEqual({ ...found, ended: 'interrupted' });
    const resumed = await begin(store, 'another', { resume: 'latest' });
    expect(resumed.checkpoint.epoch).toBeGreaterThan(1);
    expect(resumed.checkpoint).toEqual({ ...found, ended: 'interrupted', epoch: resumed.checkpoint.epoch });
    await store.settle(resumed.ledger, [span(20)], [rejectOf(20)], resumed.context);
    await resumed.ledger.finish('failed', resumed.context);
    const third = await find(store);
    expect(third?.spans.toSorted(bySpan)).toEqual([...spans, span(20)].toSorted(bySpan));
    expect(third).toMatchObject({ ended: 'failed', rejected: 2 });
    expect(await rejectsOf(store.ledger(), 'r1')).toEqual([rejectOf(14), rejectOf(20)]);
  });

  test('of a complete run keeps one span a split, and its rejects', async () => {
    await using store = await subject.store();
    const { ledger, context } = await begin(store, 'me');
    await store.settle(ledger, [span(10), span(0), span(0, 3, 'other')], [rejectOf(14), rejectOf(2)], context);
    await ledger.finish('complete-with-rejects', context);
    const found = await find(store);
    expect(found).toMatchObject({ run: 'r1', resumed: true, ended: 'complete-with-rejects', rejected: 2 });
    expect(found?.spans.toSorted(bySpan)).toEqual([span(0, 3, 'other'), span(0, 20)]);
    expect(await rejectsOf(store.ledger(), 'r1')).toEqual([rejectOf(2), rejectOf(14)]);
    const [record] = await store.ledger().runs(never);
    expect(record).toMatchObject({ status: 'complete-with-rejects', rows: 23, rejected: 2 });
    expect(record?.endedAt).toBeInstanceOf(Date);
    const again = await begin(store, 'me again', { resume: 'latest' });
    expect(again.checkpoint.spans.toSorted(bySpan)).toEqual(found?.spans.toSorted(bySpan));
    await again.ledger.finish('complete-with-rejects', again.context);
    const after = await find(store);
    expect(after?.spans.toSorted(bySpan)).toEqual(found?.spans.toSorted(bySpan));
    expect(after?.rejected).toBe(2);
  });

  test('keeps the spans of a run that ended with a hole', async () => {
    await using store = await subject.store();
    const { ledger, context } = await begin(store, 'me');
    await store.settle(ledger, [span(10)], [], context);
    await ledger.finish('complete', context);
    expect((await find(store))?.spans).toEqual([span(10)]);
  });

  test('has one holder at a time: a second is told who it is, unless the first is gone or silent', async () => {
    await using store = await subject.store();
    await begin(store, 'host 1');
    const alive = { run: 'r2', mayBeAlive: () => true };
    const error = await begin(store, 'host 2', alive).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'job-held', message: expect.stringMatching(/host 1 since \d{4}-/) });
    await expect(begin(store, 'host 2', { ...alive, resume: 'latest' })).rejects.toMatchObject({ code: 'job-held' });
    await begin(store, 'host 2', { ...alive, job: 'another' });
    await store.silence();
    const third = await begin(store, 'host 3', { ...alive, run: 'r3', resume: 'latest' });
    expect(third.checkpoint).toMatchObject({ run: 'r1', resumed: true, epoch: 2 });
    const gone = { run: 'r4', mayBeAlive: (holder: string) => holder !== 'host 3' };
    expect((await begin(store, 'host 4', gone)).checkpoint).toMatchObject({ run: 'r4', resumed: false, epoch: 1 });
  });

  test('is free as soon as a run has ended', async () => {
    await using store = await subject.store();
    const alive = { mayBeAlive: () => true };
    const first = await begin(store, 'a', alive);
    await first.ledger.finish('complete', first.context);
    const second = await begin(store, 'b', { ...alive, run: 'r2' });
    await second.ledger.finish('failed', second.context);
    expect((await begin(store, 'c', { ...alive, resume: 'latest' })).checkpoint.run).toBe('r2');
  });

  test('of many that begin at once lets one in', async () => {
    await using store = await subject.store();
    const all = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => begin(store, `host ${i}`, { run: `r${i}`, mayBeAlive: () => true })),
    );
    const refused = all.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    expect(refused.map(({ code }) => code)).toEqual(Array(7).fill('job-held'));
    expect(await store.ledger().runs(never)).toHaveLength(1);
  });

  test('a heartbeat keeps a holder alive', async () => {
    await using store = await subject.store();
    const { ledger, context } = await begin(store, 'host 1');
    await store.silence();
    await ledger.heartbeat(context);
    const second = begin(store, 'host 2', { run: 'r2', mayBeAlive: () => true });
    await expect(second).rejects.toMatchObject({ code: 'job-held' });
  });

  test('a holder whose run was taken over settles no more, beats no more and ends nothing', async () => {
    await using store = await subject.store();
    const old = await begin(store, 'old');
    await store.settle(old.ledger, [span(0)], [rejectOf(5)], old.context);
    const taker = await begin(store, 'new', { resume: 'latest' });
    expect(taker.checkpoint).toMatchObject({ run: 'r1', epoch: 2, spans: [span(0)], rejected: 1 });
    await store.settle(taker.ledger, [span(10)], [], taker.context);
    const late = store.settle(old.ledger, [span(20)], [rejectOf(25)], old.context);
    await expect(late).rejects.toMatchObject({ code: takenOver });
    await expect(old.ledger.heartbeat(old.context)).rejects.toMatchObject({ code: takenOver });
    await expect(old.ledger.finish('complete', old.context)).rejects.toMatchObject({ code: takenOver });
    await taker.ledger.heartbeat(taker.context);
    for (const stale of [contextOf('r1', 1), contextOf('r1', 3), contextOf('unknown', 2)]) {
      await expect(store.settle(taker.ledger, [span(30)], [], stale)).rejects.toMatchObject({ code: takenOver });
    }
    const third = await begin(store, 'third', { resume: 'latest' });
    expect(third.checkpoint.spans.toSorted(bySpan)).toEqual([span(0), span(10)]);
    expect(await rejectsOf(store.ledger(), 'r1')).toEqual([rejectOf(5)]);
  });

  test('a new run of the job fences the one that was left running', async () => {
    await using store = await subject.store();
    const old = await begin(store, 'old');
    const other = await begin(store, 'new', { run: 'r2' });
    await expect(store.settle(old.ledger, [span(0)], [], old.context)).rejects.toMatchObject({ code: takenOver });
    await expect(old.ledger.heartbeat(old.context)).rejects.toMatchObject({ code: takenOver });
    await other.ledger.heartbeat(other.context);
    const runs = await other.ledger.runs(never);
    expect(runs.map(({ run, status }) => [run, status])).toEqual([
      ['r2', 'running'],
      ['r1', 'failed'],
    ]);
  });

  test('what a taker read is all that stands of the holder before', async () => {
    await using store = await subject.store();
    for (let round = 0; round < 10; round++) {
      const run = `r${round}`;
      const old = await begin(store, 'old', { run, job: run });
      const settled: Span[] = [];
      const writing = (async () => {
        for (let from = 0; ; from += 10) {
          await store.settle(old.ledger, [span(from)], [], old.context);
          settled.push(span(from));
        }
      })().catch((error: unknown) => error);
      await new Promise((resolve) => setTimeout(resolve, round % 7));
      const taker = await begin(store, 'new', { run, job: run, resume: 'latest' });
      await writing;
      const read = taker.checkpoint.spans.toSorted(bySpan);
      expect(read).toEqual(expect.arrayContaining(settled));
      expect((await store.ledger().find({ job: run, resume: 'latest' }, never))?.spans.toSorted(bySpan)).toEqual(read);
    }
  });

  test('the same holder that begins again, its answer lost, gets the same run', async () => {
    await using store = await subject.store();
    const { ledger, checkpoint } = await begin(store, 'me');
    expect(await ledger.begin(requestOf('me'), never)).toEqual(checkpoint);
  });

  test('resumes the latest run of the job or the one named, starts the first, and knows no other', async () => {
    await using store = await subject.store();
    const a = await begin(store, 'a', { resume: 'latest' });
    expect(a.checkpoint).toMatchObject({ run: 'r1', resumed: false, epoch: 1 });
    await a.ledger.finish('interrupted', a.context);
    const b = await begin(store, 'b', { run: 'r2' });
    await b.ledger.finish('failed', b.context);
    const c = await begin(store, 'c', { resume: 'latest', run: 'r3' });
    expect(c.checkpoint).toMatchObject({ run: 'r2', resumed: true, epoch: 2 });
    await c.ledger.finish('failed', c.context);
    const d = await begin(store, 'd', { resume: { run: 'r1' }, run: 'r4' });
    expect(d.checkpoint).toMatchObject({ run: 'r1', resumed: true, epoch: 2 });
    await d.ledger.finish('failed', d.context);
    expect((await find(store))?.run).toBe('r2');
    expect((await find(store, { run: 'r1' }))?.run).toBe('r1');
    expect(await find(store, 'no')).toBeUndefined();
    await expect(find(store, { run: 'r9' })).rejects.toMatchObject({ code: 'no-such-run' });
    const missing = { run: 'r9', resume: { run: 'r9' } };
    await expect(begin(store, 'e', missing)).rejects.toMatchObject({ code: 'no-such-run' });
    const elsewhere = { run: 'r9', resume: { run: 'r1' }, job: 'another' };
    await expect(begin(store, 'e', elsewhere)).rejects.toMatchObject({ code: 'no-such-run' });
  });

  test('lists runs, newest first, and forgets old ones but never one that runs', async () => {
    await using store = await subject.store();
    for (const run of ['r1', 'r2', 'r3']) {
      const { ledger, context } = await begin(store, 'me', { run });
      await store.settle(ledger, [span(0)], [rejectOf(3)], context);
      await ledger.finish('complete-with-rejects', context);
    }
    const running = await begin(store, 'me', { run: 'r4', job: 'another' });
    const ledger = store.ledger();
    const runs = await ledger.runs(never);
    expect(runs.map(({ run, status, rows, rejected }) => ({ run, status, rows, rejected }))).toEqual([
      { run: 'r4', status: 'running', rows: 0, rejected: 0 },
      ...['r3', 'r2', 'r1'].map((run) => ({ run, status: 'complete-with-rejects', rows: 10, rejected: 1 })),
    ]);
    expect(await ledger.prune(1, never)).toBe(2);
    expect((await ledger.runs(never)).map(({ run }) => run)).toEqual(['r4', 'r3']);
    expect(await rejectsOf(ledger, 'r1')).toEqual([]);
    expect(await rejectsOf(ledger, 'r3')).toEqual([rejectOf(3)]);
    expect(await ledger.prune(0, never)).toBe(1);
    expect((await ledger.runs(never)).map(({ run }) => run)).toEqual(['r4']);
    await store.settle(running.ledger, [span(0)], [], running.context);
    expect(await begin(store, 'me', { run: 'r5', resume: 'latest' })).toMatchObject({ checkpoint: { run: 'r5' } });
  });

  test('gives the rejects of a run back in order, however many', async () => {
    await using store = await subject.store();
    const { ledger, context } = await begin(store, 'me');
    const all = Array.from(
      { length: 2_500 },
      (_, row): Reject => ({ split: row % 2 ? 'a' : 'b', row, code: 'X', reason: 'no', column: 'c', record: { row } }),
    );
    await store.settle(ledger, [], all.slice(1_000), context);
    await store.settle(ledger, [], all.slice(0, 1_000), context);
    const order = ({ split, row }: Reject) => `${split}${String(row).padStart(6, '0')}`;
    expect(await rejectsOf(store.ledger(), 'r1')).toEqual(all.sort((x, y) => (order(x) < order(y) ? -1 : 1)));
  });

  test('keeps any record and token to the letter, digits of numbers and records that are nothing among them', async () => {
    await using store = await subject.store();
    const { ledger, context } = await begin(store, 'me');
    const text = fc.string({
      unit: fc.oneof(
        fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
        fc.constantFrom('\0', '\n', '\ud800', '\udc00', '\\', '"', ',', '{', '}', 'NULL', ' '),
      ),
    });
    const value = fc.oneof(
      text,
      fc.jsonValue({ stringUnit: 'binary' }),
      fc.record({ base64: text }),
      fc.dictionary(text, text),
      fc.constant(undefined),
      fc.constantFrom('9007199254740993', '1.10', '1e400').map((digits) => parseJson(`{"n":${digits}}`)),
    );
    const overJson = (given: unknown) => (given === undefined ? undefined : JSON.parse(JSON.stringify(given)));
    const kept = (given: unknown) => (isDigits(given) ? given : overJson(given));
    let row = 0;
    const rejects: Reject[] = [];
    const spans: Span[] = [];
    const sample = fc.sample(fc.tuple(fc.array(value, { maxLength: 4 }), fc.jsonValue({ stringUnit: 'binary' })), 25);
    for (const [records, token] of sample) {
      const from = row;
      const refused = records.map((record): Reject => ({ split: 's', row: row++, code: 'X', reason: 'no', record }));
      row += 1;
      const settled = { split: 's', from, rows: row - from, next: { row, token } };
      await store.settle(ledger, [settled], refused, context);
      rejects.push(...refused.map((reject) => ({ ...reject, record: kept(reject.record) })));
      spans.push({ ...settled, next: { row, token: overJson(token) } });
    }
    expect(await rejectsOf(store.ledger(), 'r1')).toEqual(rejects);
    expect((await find(store))?.spans.toSorted(bySpan)).toEqual(spans);
  });
}

function isDigits(given: unknown): boolean {
  return typeof given === 'object' && given !== null && 'n' in given;
}
