import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dryRun, LoadError, type LoadOptions, load, type Report } from '../../src/index.js';
import { type PostgresOptions, postgres } from '../../src/sinks/postgres/index.js';
import { file } from '../../src/sources/file/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';

let db: ScratchDatabase;
let folder: string;

beforeEach(async () => {
  db = await scratchDatabase();
  folder = await mkdtemp(join(tmpdir(), 'sluice-load-'));
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const into = (table: string, options: Partial<PostgresOptions> = {}) => postgres({ url: db.url, table, ...options });

async function csv(name: string, text: string | Buffer): Promise<ReturnType<typeof file>> {
  const path = join(folder, name);
  await writeFile(path, text);
  return file({ path });
}

function rows(n: number, row: (i: number) => string): string {
  return Array.from({ length: n }, (_, i) => `${row(i + 1)}\n`).join('');
}

/** A load that is expected to end badly. */
async function failed(options: LoadOptions): Promise<LoadError> {
  const error = await load(options).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof LoadError) return error;
  throw new Error('the load should have failed with a LoadError', { cause: error });
}

async function count(table: string): Promise<number> {
  return Number((await db.client.query(`SELECT count(*) FROM ${table}`)).rows[0].count);
}

function rejectsIn(report: Report): { row: number; code: string; column?: string; reason: string; record: unknown }[] {
  return readFileSync(report.rejectsFile!, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const addsUp = (r: Report) => r.read === r.written + r.unchanged + r.duplicate + r.rejected + r.skipped;

describe('a load', () => {
  test('writes every record of a file once, and says so', async () => {
    const source = await csv('cities.csv', `id,name\n${rows(12_345, (i) => `${i},"city, ""${i}"""`)}`);
    const report = await load({ source, sink: into('cities', { create: true, key: ['id'] }) });
    expect(report).toMatchObject({
      status: 'complete',
      read: 12_345,
      written: 12_345,
      rejected: 0,
      guarantee: 'exactly once',
      error: null,
    });
    const { rows: found } = await db.client.query(
      'SELECT count(*)::int, count(DISTINCT id)::int AS ids, min(name), sum(id)::int FROM cities',
    );
    expect(found).toEqual([{ count: 12_345, ids: 12_345, min: 'city, "1"', sum: (12_345 * 12_346) / 2 }]);
  });

  test('writes what is new, changes what changed, and leaves the rest alone, in upsert mode', async () => {
    const first = await csv('a.csv', `id,name\n${rows(1_000, (i) => `${i},n${i}`)}`);
    await load({ source: first, sink: into('t', { create: true, mode: 'upsert', key: ['id'] }) });
    const second = await csv('b.csv', `id,name\n${rows(1_100, (i) => `${i},${i % 10 === 0 ? 'changed' : `n${i}`}`)}`);
    const report = await load({ source: second, sink: into('t', { mode: 'upsert', key: ['id'] }) });
    expect(report).toMatchObject({ status: 'complete', read: 1_100, written: 200, unchanged: 900, duplicate: 0 });
    expect(await count('t')).toBe(1_100);
  });

  test('keeps the last of a key that repeats within a batch, and counts the others as duplicates', async () => {
    const records = [1, 2, 1, 3, 1].map((id, i) => ({ id, n: i }));
    const report = await load({
      source: iterable(records),
      sink: into('t', { create: true, mode: 'upsert', key: ['id'] }),
    });
    expect(report).toMatchObject({ status: 'complete', read: 5, written: 3, duplicate: 2 });
    expect((await db.client.query('SELECT id::int, n::int FROM t ORDER BY id')).rows).toEqual([
      { id: 1, n: 4 },
      { id: 2, n: 1 },
      { id: 3, n: 3 },
    ]);
  });

  test('of a key that repeats across batches the last record counts, even when its batch has to be tried again', async () => {
    await db.client.query('CREATE TABLE t (id int PRIMARY KEY, v int)');
    const rounds = 6;
    const records = Array.from({ length: rounds * 500 }, (_, i) => ({
      id: i % 500,
      // A bad record makes its batch be judged and sent again.
      v: i % 500 === 250 && Math.floor(i / 500) % 2 === 0 ? 'bad' : Math.floor(i / 500),
    }));
    const sink = into('t', { mode: 'upsert', key: ['id'] });
    const report = await load({ source: iterable(records), sink, batchRows: 500, workers: 4 });
    expect(report).toMatchObject({ status: 'complete-with-rejects', rejected: 3 });
    expect((await db.client.query('SELECT v, count(*)::int FROM t GROUP BY v')).rows).toEqual([
      { v: rounds - 1, count: 500 },
    ]);
  });

  test('leaves rows that are there alone in ignore mode', async () => {
    await db.client.query("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'old')");
    const source = iterable([
      { id: 1, name: 'new' },
      { id: 2, name: 'two' },
    ]);
    const report = await load({ source, sink: into('t', { mode: 'ignore', key: ['id'] }) });
    expect(report).toMatchObject({ status: 'complete', read: 2, written: 1, unchanged: 1 });
    expect((await db.client.query('SELECT * FROM t ORDER BY id')).rows).toEqual([
      { id: 1, name: 'old' },
      { id: 2, name: 'two' },
    ]);
  });

  test('stops after the limit, and is complete then', async () => {
    const source = await csv('a.csv', `id\n${rows(5_000, String)}`);
    const report = await load({ source, sink: into('t', { create: true }), limit: 1_234 });
    expect(report).toMatchObject({ status: 'complete', read: 1_234, written: 1_234 });
  });

  test('of nothing is complete', async () => {
    const report = await load({ source: iterable([]), sink: into('t', { create: true }) });
    expect(report).toMatchObject({ status: 'complete', read: 0, written: 0 });
  });

  test('shows its figures while it runs, and the last of them agree with the report', async () => {
    const snapshots: number[] = [];
    const report = await load({
      source: await csv('a.csv', `id\n${rows(50_000, String)}`),
      sink: into('t', { create: true }),
      onProgress: (snapshot) => snapshots.push(snapshot.settled),
    });
    expect(snapshots.at(-1)).toBe(report.read);
  });

  test('puts every batch with its rows and its rejects into the ledger', async () => {
    const source = await csv('a.csv', `id\n${rows(10_000, (i) => (i === 77 ? 'x' : String(i)))}`);
    await db.client.query('CREATE TABLE t (id int)');
    const report = await load({ source, sink: into('t'), batchRows: 1_000, runDir: folder });
    const kept = await db.client.query('SELECT status, compacted FROM sluice.run WHERE run = $1', [report.run]);
    expect(kept.rows).toMatchObject([{ status: 'complete-with-rejects', compacted: [{ from: 0, rows: 10_000 }] }]);
    const rejects = await db.client.query('SELECT count(*)::int FROM sluice.reject WHERE run = $1', [report.run]);
    expect(rejects.rows).toEqual([{ count: 1 }]);
  });
});

describe('bad records', () => {
  test('a type error in row 4,321 of 10,000 costs that row and no other', async () => {
    await db.client.query('CREATE TABLE t (id int, n int)');
    const source = await csv('a.csv', `id,n\n${rows(10_000, (i) => `${i},${i === 4_321 ? 'oops' : i}`)}`);
    const report = await load({ source, sink: into('t'), runDir: folder });
    expect(report).toMatchObject({ status: 'complete-with-rejects', read: 10_000, written: 9_999, rejected: 1 });
    expect(await count('t')).toBe(9_999);
    expect(rejectsIn(report)).toMatchObject([{ row: 4_321, code: '22P02', column: 'n', record: '4321,oops' }]);
  });

  test('one in a hundred may be bad, of every kind, and all others arrive', async () => {
    await db.client.query(
      'CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n >= 0), d date, name varchar(10) NOT NULL)',
    );
    const bad = [
      'x,1,2020-01-01,a',
      '0,-5,2020-01-01,a',
      '-1,1,2020-02-30,a',
      '-2,1,2020-01-01,',
      '-3,1,2020-01-01,much too long a name',
      '-4,1',
    ];
    let badOnes = 0;
    const line = (i: number) => (i % 100 === 50 ? bad[badOnes++ % bad.length]! : `${i},${i},2020-01-01,n${i}`);
    const source = await csv('a.csv', `id,n,d,name\n${rows(6_000, line)}`);
    const report = await load({ source, sink: into('t'), runDir: folder });
    expect(report).toMatchObject({ status: 'complete-with-rejects', read: 6_000, written: 5_940, rejected: 60 });
    const codes = new Map<string, number>();
    for (const { code } of rejectsIn(report)) codes.set(code, (codes.get(code) ?? 0) + 1);
    expect(Object.fromEntries(codes)).toEqual({ '22P02': 10, 23514: 10, 22008: 10, 23502: 10, 22001: 10, '22P04': 10 });
  });

  test('a foreign key that leads nowhere refuses its row, in append and in upsert', async () => {
    await db.client.query(
      'CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1); CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p)',
    );
    const records = Array.from({ length: 300 }, (_, i) => ({ id: i, p: i === 123 ? 2 : 1 }));
    for (const mode of ['append', 'upsert'] as const) {
      await db.client.query('TRUNCATE t');
      const report = await load({ source: iterable(records), sink: into('t', { mode, key: ['id'] }), runDir: folder });
      expect(report).toMatchObject({ status: 'complete-with-rejects', written: 299, rejected: 1 });
      expect(rejectsIn(report).at(-1)).toMatchObject({ row: 124, code: '23503' });
    }
  });

  test('a key that is there already is a reject in append mode, in its batch and in a later one', async () => {
    await db.client.query('CREATE TABLE t (id int PRIMARY KEY)');
    const records = [1, 2, 2, 3, 4, 5, 6, 1].map((id) => ({ id }));
    const report = await load({ source: iterable(records), sink: into('t'), batchRows: 5, workers: 1, runDir: folder });
    expect(report).toMatchObject({ status: 'complete-with-rejects', read: 8, written: 6, rejected: 2 });
    expect(rejectsIn(report)).toMatchObject([
      { row: 3, code: '23505' },
      { row: 8, code: '23505' },
    ]);
  });

  test('malformed JSON, invalid UTF-8 and a NUL character are rejects, and the rest loads', async () => {
    const lines = [
      Buffer.from('{"id":1,"s":"fine"}\n{"id":2,"s":\n{"id":3,"s":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}\n{"id":4,"s":"a\\u0000b"}\n[5]\n{"id":6,"s":"grün"}\n'),
    ];
    const path = join(folder, 'a.ndjson');
    await writeFile(path, Buffer.concat(lines));
    await db.client.query('CREATE TABLE t (id int, s text)');
    const report = await load({ source: file({ path }), sink: into('t'), runDir: folder });
    expect(report).toMatchObject({ status: 'complete-with-rejects', read: 6, written: 2, rejected: 4 });
    expect((await db.client.query('SELECT * FROM t ORDER BY id')).rows).toEqual([
      { id: 1, s: 'fine' },
      { id: 6, s: 'grün' },
    ]);
    expect(
      rejectsIn(report)
        .map(({ row }) => row)
        .sort(),
    ).toEqual([2, 3, 4, 5]);
  });

  test('more of them than allowed stop the load, and the report says how far it came', async () => {
    await db.client.query('CREATE TABLE t (id int)');
    const source = await csv('a.csv', `id\n${rows(5_000, (i) => (i % 10 === 0 ? 'x' : String(i)))}`);
    const { report } = await failed({ source, sink: into('t'), maxErrors: 10, batchRows: 500 });
    expect(report.status).toBe('too-many-rejects');
    expect(report.rejected).toBeGreaterThan(10);
    expect(await count('t')).toBe(report.written);
  });

  test('numbers keep their digits from JSON into numeric and text', async () => {
    const path = join(folder, 'n.ndjson');
    await writeFile(path, '{"a":1.10,"b":9007199254740993,"c":1.10}\n');
    await db.client.query('CREATE TABLE t (a numeric, b bigint, c text)');
    await load({ source: file({ path }), sink: into('t') });
    expect((await db.client.query('SELECT a::text, b::text, c FROM t')).rows).toEqual([
      { a: '1.10', b: '9007199254740993', c: '1.10' },
    ]);
  });

  test('a cast to json is written as json, not as a text that holds json', async () => {
    await db.client.query('CREATE TABLE t (j jsonb, t text)');
    const columns = { j: { from: 'a', cast: 'json' }, t: { from: 'a', cast: 'json' } } as const;
    await load({ source: iterable([{ a: { b: 'c' } }, { a: 'd' }]), sink: into('t'), columns });
    expect((await db.client.query('SELECT * FROM t')).rows).toEqual([
      { j: { b: 'c' }, t: '{"b":"c"}' },
      { j: 'd', t: '"d"' },
    ]);
  });

  test('a run folder used again holds the rejects of the last run only', async () => {
    await db.client.query('CREATE TABLE t (id int)');
    const bad = () => load({ source: iterable([{ id: 'x' }]), sink: into('t'), runDir: folder });
    await bad();
    expect(rejectsIn(await bad()).length).toBe(1);
    const good = await load({ source: iterable([{ id: 1 }]), sink: into('t'), runDir: folder });
    expect(good.rejectsFile).toBeNull();
    expect(existsSync(join(folder, 'rejects.ndjson'))).toBe(false);
  });

  test('an empty file makes no table, and the report says so', async () => {
    const options = async () => ({ source: await csv('empty.csv', ''), sink: into('made', { create: true }) });
    const report = await load(await options());
    const message = 'there is no table "made", and without a record or a header there is nothing to make it of';
    const problems = [{ name: 'table-not-made', message, incomplete: false, count: 1 }];
    expect(report).toMatchObject({ status: 'complete', read: 0, problems });
    expect((await dryRun(await options())).notes).toContain(message);
    expect((await db.client.query("SELECT to_regclass('made') AS made")).rows).toEqual([{ made: null }]);
    await db.client.query('CREATE TABLE made (id int)');
    expect((await load(await options())).problems).toEqual([]);
  });

  test.each<[string, Partial<LoadOptions>, RegExp]>([
    ['malformed', { source: iterable([1, 2] as never) }, /each of the first 2 records is unusable.*must be an object/],
    ['empty', { source: iterable([{}]) }, /the first record is unusable.*it has no fields/],
    [
      'what the mapping function fails on',
      {
        source: iterable([{ id: 1 }]),
        columns: () => {
          throw new Error('no');
        },
      },
      /the mapping function throws/,
    ],
  ])(
    'a source whose records are all %s fails, instead of being complete with nothing',
    async (_what, given, message) => {
      await db.client.query('CREATE TABLE t (id int)');
      const error = await failed({ source: iterable([]), sink: into('t'), ...given });
      expect(error).toMatchObject({ code: 'no-usable-record', message: expect.stringMatching(message) });
    },
  );

  test('a field that no column takes is refused where it appears, and an error when it is in the sample', async () => {
    await db.client.query('CREATE TABLE t (id int)');
    const late = Array.from({ length: 3_000 }, (_, i) => (i === 2_500 ? { id: i, extra: 1 } : { id: i }));
    const report = await load({ source: iterable(late), sink: into('t'), runDir: folder });
    expect(report).toMatchObject({ status: 'complete-with-rejects', written: 2_999, rejected: 1 });
    expect(rejectsIn(report)).toMatchObject([{ row: 2_501, code: 'unknown-field', column: 'extra' }]);
    const error = await failed({ source: iterable([{ id: 1, extra: 1 }]), sink: into('t') });
    expect(error.message).toMatch(/extra/);
    expect(await count('t')).toBe(2_999);
  });
});

describe('faults', () => {
  test('a connection dropped in the middle loses nothing and doubles nothing', async () => {
    await db.client.query('CREATE TABLE t (id int)');
    let running = false;
    let ended = false;
    const killer = (async () => {
      while (!running) await sleep(5);
      for (let dropped = 0; dropped < 10 && !ended; ) {
        await sleep(30);
        const { rowCount } = await db.client.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice' AND datname = current_database() AND state <> 'idle' LIMIT 1",
        );
        dropped += rowCount ?? 0;
      }
    })();
    const source = await csv('a.csv', `id\n${rows(300_000, String)}`);
    const report = await load({
      source,
      sink: into('t'),
      batchRows: 2_000,
      workers: 4,
      onProgress: ({ settled }) => {
        running ||= settled > 0;
      },
    }).finally(() => {
      running = true;
      ended = true;
    });
    await killer;
    expect(report.retries).toBeGreaterThan(0);
    expect(report).toMatchObject({ status: 'complete', read: 300_000, written: 300_000 });
    expect((await db.client.query('SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM t')).rows).toEqual([
      { count: 300_000, ids: 300_000 },
    ]);
  });

  test('a source that dies half-way fails the run; what came before it is there', async () => {
    async function* dying() {
      for (let i = 0; i < 3_000; i++) yield { id: i };
      throw new Error('the disk went away');
    }
    const { report, message } = await failed({ source: iterable(dying()), sink: into('t', { create: true }) });
    expect(report).toMatchObject({ status: 'failed', read: 3_000, written: 3_000 });
    expect(message).toMatch(/the disk went away/);
    expect(await count('t')).toBe(3_000);
  });

  test('an asked-for stop writes what was read, and is no failure', async () => {
    const drain = new AbortController();
    async function* endless() {
      for (let i = 0; ; i++) {
        if (i === 2_000) setTimeout(() => drain.abort(), 20);
        if (i % 500 === 0) await sleep(1);
        yield { id: i };
      }
    }
    const report = await load({ source: iterable(endless()), sink: into('t', { create: true }), drain: drain.signal });
    expect(report.status).toBe('interrupted');
    expect(addsUp(report)).toBe(true);
    expect(await count('t')).toBe(report.written);
  });

  test('a source that never answers does not keep an asked-for stop waiting', async () => {
    const drain = new AbortController();
    async function* stuck() {
      yield { id: 1 };
      setTimeout(() => drain.abort(), 50);
      await new Promise(() => {});
    }
    const report = await load({ source: iterable(stuck()), sink: into('t', { create: true }), drain: drain.signal });
    expect(report).toMatchObject({ status: 'interrupted', read: 1, written: 1 });
  });

  test('an abort ends at once, and only whole batches are there', async () => {
    const stop = new AbortController();
    let abortedAt = Number.NEGATIVE_INFINITY;
    const source = await csv('a.csv', `id\n${rows(300_000, String)}`);
    const { report } = await failed({
      source,
      sink: into('t', { create: true }),
      signal: stop.signal,
      batchRows: 1_000,
      onProgress: ({ settled }) => {
        if (settled === 0 || stop.signal.aborted) return;
        stop.abort(new Error('enough'));
        abortedAt = performance.now();
      },
    });
    expect(performance.now() - abortedAt).toBeLessThan(3_000);
    expect(report.status).toBe('interrupted');
    expect((await count('t')) % 1_000).toBe(0);
  });

  test('a full disk under the run folder costs a warning, not the load', async () => {
    await db.client.query('CREATE TABLE t (id int)');
    await symlink('/dev/full', join(folder, 'rejects.ndjson'));
    const report = await load({ source: await csv('a.csv', 'id\n1\nx\n3\n'), sink: into('t'), runDir: folder });
    expect(report).toMatchObject({ status: 'complete-with-rejects', written: 2, rejected: 1, rejectsFile: null });
    expect(report.problems.map((problem) => problem.name)).toEqual(['run-folder']);
    expect((await db.client.query('SELECT count(*)::int FROM sluice.reject')).rows).toEqual([{ count: 1 }]);
  });
});

describe('before the first row', () => {
  test.each([
    ['no such table', 'SELECT 1', { table: 'nowhere' }, /nowhere/],
    ['an unknown field', 'CREATE TABLE t (id int)', { table: 't' }, /name/],
    [
      'a missing key column',
      'CREATE TABLE t (id int, name text, k int PRIMARY KEY)',
      { table: 't', mode: 'upsert', key: ['k'] },
      /k/,
    ],
  ] as const)('%s is an error that names it', async (_, sql, options, message) => {
    await db.client.query(sql);
    const source = iterable([{ id: 1, name: 'a' }]);
    const error = await failed({
      source,
      sink: postgres({ url: db.url, ...options, key: [...('key' in options ? options.key : [])] }),
    });
    expect(error.report.status).toBe('failed');
    expect(error.message).toMatch(message);
  });

  test('a wrong password is an error that names the server and not the password', async () => {
    const url = new URL(db.url);
    url.password = 'hunter2';
    const error = await failed({ source: iterable([{ id: 1 }]), sink: postgres({ url: url.href, table: 't' }) });
    expect(error.message).toContain(url.host);
    expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain('hunter2');
  });

  test('a sink that was used before is told to be closed', async () => {
    const sink = into('t', { create: true });
    await load({ source: iterable([{ id: 1 }]), sink });
    const error = await failed({ source: iterable([{ id: 1 }]), sink });
    expect(error).toMatchObject({ code: 'closed', message: expect.stringContaining('Make a sink for each load') });
  });

  test('a dry run says what would be done, and does none of it', async () => {
    const plan = await dryRun({
      source: iterable([{ id: 1, name: 'a' }]),
      sink: into('t', { create: true, key: ['id'] }),
    });
    expect(plan).toMatchObject({
      sampled: 1,
      columns: [
        { column: 'id', from: 'id' },
        { column: 'name', from: 'name' },
      ],
    });
    expect(plan.statements.join('\n')).toMatch(/CREATE TABLE/);
    const many = Array.from({ length: 1_500 }, (_, id) => ({ id }));
    const large = await dryRun({ source: iterable(many), sink: into('t', { create: true }) });
    expect(large.sampled).toBe(1_000);
    expect((await db.client.query("SELECT to_regclass('t') AS t, to_regnamespace('sluice') AS s")).rows).toEqual([
      { t: null, s: null },
    ]);
  });
});
