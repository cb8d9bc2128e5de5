import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startCitiesApi } from '../../src/hosts/cli/demo/cities-api.js';
import { LoadError, type LoadOptions, load, type Report } from '../../src/index.js';
import { type PostgresOptions, postgres } from '../../src/sinks/postgres/index.js';
import { file } from '../../src/sources/file/index.js';
import { http } from '../../src/sources/http/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';

let db: ScratchDatabase;
let folder: string;
beforeEach(async () => {
  db = await scratchDatabase();
  folder = await mkdtemp(join(tmpdir(), 'sluice-resume-'));
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const into = (options: Partial<PostgresOptions> = {}) => postgres({ url: db.url, table: 't', ...options });
const lines = (n: number, line: (i: number) => string) => Array.from({ length: n }, (_, i) => `${line(i)}\n`).join('');

async function write(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** Stops a load hard once some rows are settled; several batches are in flight then. */
async function cut(options: Omit<LoadOptions, 'signal'>): Promise<Report> {
  const stop = new AbortController();
  const onProgress = ({ settled }: { settled: number }) => {
    if (settled > 0) stop.abort(new Error('cut'));
  };
  try {
    return await load({ ...options, signal: stop.signal, onProgress });
  } catch (error) {
    if (error instanceof LoadError) return error.report;
    throw error;
  }
}

async function ids(): Promise<{ count: number; distinct: number; sum: number }> {
  const { rows } = await db.client.query(
    'SELECT count(*)::int, count(DISTINCT id)::int AS distinct, coalesce(sum(id), 0)::float8 AS sum FROM t',
  );
  return rows[0];
}

const allOf = (n: number) => ({ count: n, distinct: n, sum: (n * (n - 1)) / 2 });
const addsUp = (r: Report) => r.read === r.written + r.unchanged + r.duplicate + r.rejected + r.skipped;

test('a load that fails once its run has begun lets go of the job at once', async () => {
  await db.client.query('CREATE TABLE t (id int)');
  const options = () => ({ source: iterable([{ id: 1 }], { name: 'one' }), sink: into() });
  const onBegin = () => {
    throw new Error('no, not this one');
  };
  await expect(load({ ...options(), onBegin })).rejects.toMatchObject({ message: 'no, not this one' });
  const { rows } = await db.client.query('SELECT status FROM sluice.run');
  expect(rows).toEqual([{ status: 'failed' }]);
  expect(await load(options())).toMatchObject({ status: 'complete', written: 1 });
});

describe('a resume', () => {
  const rows = 200_000;
  const csv = `id,name\n${lines(rows, (i) => `${i},"name, ""${i}"""`)}`;

  test.each([
    ['a.csv', () => csv],
    ['a.csv.gz', () => gzipSync(csv)],
    ['a.ndjson', () => lines(rows, (i) => `{"id":${i},"name":"n${i}"}`)],
  ])('of %s writes what is missing and nothing else, with other batches and workers', async (name, content) => {
    await db.client.query('CREATE TABLE t (id int, name text)');
    const path = await write(name, content());
    const before = await cut({ source: file({ path }), sink: into(), batchRows: 1_000, workers: 4 });
    expect(before.status).toBe('interrupted');
    const { count } = await ids();
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(rows);
    const report = await load({ source: file({ path }), sink: into(), batchRows: 777, workers: 3, resume: true });
    expect(report).toMatchObject({
      status: 'complete',
      run: before.run,
      read: rows,
      skipped: count,
      written: rows - count,
    });
    expect(await ids()).toEqual(allOf(rows));
  });

  test('of a complete run writes nothing, and counts all as skipped', async () => {
    const path = await write('a.csv', csv);
    const first = await load({ source: file({ path }), sink: into({ create: true }) });
    const again = await load({ source: file({ path }), sink: into({ create: true }), resume: true });
    expect(again).toMatchObject({ status: 'complete', run: first.run, read: rows, skipped: rows, written: 0 });
    expect(await ids()).toEqual(allOf(rows));
  });

  test('starts the first run when there is none, and goes on with a named one', async () => {
    const path = await write('a.csv', csv);
    const first = await load({ source: file({ path }), sink: into({ create: true }), resume: true, limit: 5_000 });
    expect(first).toMatchObject({ status: 'complete', read: 5_000, written: 5_000, skipped: 0 });
    const named = await load({ source: file({ path }), sink: into(), resume: first.run });
    expect(named).toMatchObject({ status: 'complete', read: rows, skipped: 5_000 });
    const unknown = load({ source: file({ path }), sink: into(), resume: 'nowhere' });
    await expect(unknown).rejects.toMatchObject({ code: 'no-such-run' });
  });

  test('is refused when a file is not what it was, unless forced', async () => {
    const path = await write('a.csv', csv);
    await cut({ source: file({ path }), sink: into({ create: true }), batchRows: 1_000 });
    await appendFile(path, `${rows},more\n`);
    const refused = load({ source: file({ path }), sink: into(), resume: true });
    await expect(refused).rejects.toMatchObject({ code: 'source-changed', message: expect.stringContaining('a.csv') });
    const forced = await load({ source: file({ path }), sink: into(), resume: true, force: true });
    expect(forced).toMatchObject({ status: 'complete', read: rows + 1 });
    expect(await ids()).toEqual(allOf(rows + 1));
  });

  test('that is drained before its first row is interrupted, and can be resumed', async () => {
    const path = await write('a.csv', csv);
    await cut({ source: file({ path }), sink: into({ create: true }), batchRows: 1_000 });
    const drained = { source: file({ path }), sink: into(), resume: true, drain: AbortSignal.abort() };
    expect(await load(drained)).toMatchObject({ status: 'interrupted', written: 0 });
    const report = await load({ source: file({ path }), sink: into(), resume: true });
    expect(report).toMatchObject({ status: 'complete', read: rows });
    expect(await ids()).toEqual(allOf(rows));
  });

  test('keeps what was rejected rejected, each once, in the figures and in the file', async () => {
    await db.client.query('CREATE TABLE t (id int)');
    const path = await write('a.csv', `id\n${lines(50_000, (i) => (i % 1_000 === 500 ? `x${i}` : String(i)))}`);
    const before = await cut({ source: file({ path }), sink: into(), batchRows: 500, workers: 4, runDir: folder });
    const report = await load({ source: file({ path }), sink: into(), resume: true, runDir: folder });
    expect(report).toMatchObject({ status: 'complete-with-rejects', run: before.run, read: 50_000, rejected: 50 });
    expect(addsUp(report)).toBe(true);
    const kept = (await readFile(join(folder, 'rejects.ndjson'), 'utf8')).trimEnd().split('\n');
    expect(new Set(kept.map((line) => JSON.parse(line).row)).size).toBe(50);
    expect(kept.length).toBe(50);
    expect((await ids()).count).toBe(49_950);
    const third = await load({ source: file({ path }), sink: into(), resume: true, runDir: folder });
    expect(third).toMatchObject({ status: 'complete-with-rejects', rejected: 50, skipped: 49_950, written: 0 });
  });

  test('of several files goes on in each', async () => {
    await db.client.query('CREATE TABLE t (id int)');
    for (let i = 0; i < 20; i++)
      await write(`${String(i).padStart(2, '0')}.csv`, `id\n${lines(5_000, (j) => String(i * 5_000 + j))}`);
    const source = () => file({ path: join(folder, '*.csv') });
    await cut({ source: source(), sink: into(), batchRows: 700, workers: 4 });
    const report = await load({ source: source(), sink: into(), resume: true });
    expect(report).toMatchObject({ status: 'complete', read: 100_000 });
    expect(await ids()).toEqual(allOf(100_000));
  });

  test('of an iterable passes over what is settled', async () => {
    const records = Array.from({ length: 100_000 }, (_, id) => ({ id }));
    await cut({ source: iterable(records), sink: into({ create: true }), batchRows: 1_000 });
    const report = await load({ source: iterable(records), sink: into(), resume: true });
    expect(report).toMatchObject({ status: 'complete', read: 100_000 });
    expect(await ids()).toEqual(allOf(100_000));
  });

  test('of records without a mapping knows the fields its first part had met', async () => {
    const records = Array.from({ length: 60_000 }, (_, id) =>
      id < 10 ? { id, early: id } : id === 59_000 ? { id, early: 1 } : { id },
    );
    await cut({ source: iterable(records), sink: into({ create: true }), batchRows: 1_000 });
    const report = await load({ source: iterable(records), sink: into({ create: true }), resume: true });
    expect(report).toMatchObject({ status: 'complete', read: 60_000, rejected: 0 });
    expect((await db.client.query('SELECT count(early)::int FROM t')).rows).toEqual([{ count: 11 }]);
  });

  test('of a listing goes on from its pages', async () => {
    await using api = await startCitiesApi(3_000);
    const pagination = {
      style: 'page',
      param: '_page',
      size: { param: '_limit', value: 50 },
      total: { header: 'X-Total-Count' },
    } as const;
    const source = () => http({ url: api.url, pagination, parallel: 2 });
    const columns = { id: 'cityId', name: 'name' };
    const before = await cut({ source: source(), sink: into({ create: true }), columns, batchRows: 100 });
    expect(before.status).toBe('interrupted');
    const report = await load({ source: source(), sink: into(), columns, resume: true });
    expect(report).toMatchObject({ status: 'complete', read: 3_000, problems: [] });
    expect(await ids()).toMatchObject({ count: 3_000, distinct: 3_000 });
  });

  test('of a listing that has changed is refused where rows would double, and goes on where they can be written again', async () => {
    const pagination = {
      style: 'page',
      param: '_page',
      size: { param: '_limit', value: 50 },
      total: { header: 'X-Total-Count' },
    } as const;
    const columns = { id: 'cityId', name: 'name' };
    const source = (url: string) => http({ url, pagination, parallel: 2 });
    await using api = await startCitiesApi(12_000);
    await cut({ source: source(api.url), sink: into({ create: true, mode: 'append' }), columns, batchRows: 100 });
    const port = Number(new URL(api.url).port);
    await api[Symbol.asyncDispose]();
    await using grown = await startCitiesApi(12_100, port);
    const resumed = load({ source: source(grown.url), sink: into({ mode: 'append' }), columns, resume: true });
    await expect(resumed).rejects.toMatchObject({ code: 'source-changed', message: expect.stringContaining('12100') });
    const forced = await load({
      source: source(grown.url),
      sink: into({ mode: 'append' }),
      columns,
      resume: true,
      force: true,
    }).catch((error: LoadError) => error.report);
    expect(forced.problems.map(({ name }) => name)).toContain('total-drift');
  });

  test('without a ledger is a clear error', async () => {
    const resumed = load({ source: iterable([{ id: 1 }]), sink: into({ ledger: false }), resume: true });
    await expect(resumed).rejects.toMatchObject({ code: 'no-ledger' });
  });
});

describe('one run at a time', () => {
  test('a second load of the job is told who holds it, or waits', async () => {
    await db.client.query('CREATE TABLE t (id int)');
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* slow() {
      for (let id = 0; id < 2_000; id++) yield { id };
      await held;
    }
    let begun = false;
    const first = load({
      source: iterable(slow()),
      sink: into(),
      onProgress: ({ settled }) => {
        begun ||= settled > 0;
      },
    });
    while (!begun) await new Promise((resolve) => setTimeout(resolve, 20));
    const second = load({ source: iterable([{ id: 1 }]), sink: into() });
    await expect(second).rejects.toMatchObject({
      code: 'job-held',
      message: expect.stringContaining(String(process.pid)),
    });
    const waiting = load({ source: iterable([{ id: 9_999 }]), sink: into(), wait: true });
    release();
    expect(await first).toMatchObject({ status: 'complete', written: 2_000 });
    expect(await waiting).toMatchObject({ status: 'complete', written: 1 });
  });

  test('a resume that had to wait goes on with the run it found, not with one that came since', async () => {
    await db.client.query('CREATE TABLE t (id int)');
    const path = join(folder, 'a.csv');
    await writeFile(path, `id\n${lines(100_000, String)}`);
    const first = await cut({ source: file({ path }), sink: into(), batchRows: 1_000 });
    await db.client.query(
      `INSERT INTO sluice.run (run, job, epoch, status, source, sink, columns, fingerprints, holder, started)
SELECT 'other', job, 1, 'running', source, sink, columns, fingerprints, 'elsewhere', started - interval '1 day' FROM sluice.run`,
    );
    let waiting = () => {};
    const waits = new Promise<void>((resolve) => {
      waiting = resolve;
    });
    const log = {
      debug() {},
      info: (_: object, message: string) => message.startsWith('waiting') && waiting(),
      warn() {},
    };
    const resumed = load({ source: file({ path }), sink: into(), resume: true, wait: true, log });
    await waits;
    await db.client.query("UPDATE sluice.run SET status = 'failed', started = now() WHERE run = 'other'");
    expect(await resumed).toMatchObject({ status: 'complete', run: first.run, read: 100_000 });
    expect(await ids()).toEqual(allOf(100_000));
  });

  test('a load without a ledger says at least once, and leaves no schema', async () => {
    const report = await load({ source: iterable([{ id: 1 }]), sink: into({ create: true, ledger: false }) });
    expect(report).toMatchObject({ status: 'complete', guarantee: 'at least once' });
    expect((await db.client.query("SELECT to_regnamespace('sluice') AS schema")).rows).toEqual([{ schema: null }]);
  });
});
