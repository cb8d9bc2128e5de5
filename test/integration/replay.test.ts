import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { LoadError, type LoadOptions, load, type Report } from '../../src/index.js';
import { type PostgresOptions, postgres } from '../../src/sinks/postgres/index.js';
import { file } from '../../src/sources/file/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { replay } from '../../src/sources/rejects/index.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';
import { reportOf, sluice, start } from './sluice.js';

let db: ScratchDatabase;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-replay-'));
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const into = (options: Partial<PostgresOptions> = {}) => postgres({ url: db.url, table: 't', ...options });
const addsUp = (r: Report) => r.read === r.written + r.unchanged + r.duplicate + r.rejected + r.skipped;

interface Line {
  split: string;
  row: number;
  code: string;
  record: unknown;
}

async function linesOf(path: string): Promise<Line[]> {
  return (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** A copy of a rejects file with other records. */
async function mend(path: string, name: string, change: (line: Line) => unknown): Promise<string> {
  const lines = (await linesOf(path)).map((line) => `${JSON.stringify({ ...line, record: change(line) })}\n`);
  const mended = join(folder, name);
  await writeFile(mended, lines.join(''));
  return mended;
}

async function csv(text: string) {
  const path = join(folder, 'a.csv');
  await writeFile(path, text);
  return file({ path });
}

async function rows(): Promise<unknown[]> {
  return (await db.client.query('SELECT * FROM t ORDER BY id, name')).rows;
}

async function reportFrom(options: LoadOptions): Promise<Report> {
  try {
    return await load(options);
  } catch (error) {
    if (error instanceof LoadError) return error.report;
    throw error;
  }
}

describe.each(inject('postgresServers'))('on $name, a replay', ({ url }) => {
  beforeEach(async () => {
    db = await scratchDatabase(url);
    await db.client.query('CREATE TABLE t (id int, name text)');
  });

  const bad = 'name;id\r\n"a ""1""";1\r\nb;two\r\n"c\r\nd";three\r\ne;4;5\r\nf;6\r\n';

  test('loads mended CSV records by the layout they were read by, each once', async () => {
    const first = await load({
      source: file({ path: (await csv(bad)) && join(folder, 'a.csv'), delimiter: ';' }),
      sink: into(),
      runDir: join(folder, 'first'),
    });
    expect(first).toMatchObject({ written: 2, rejected: 3 });
    const rejects = join(folder, 'first', 'rejects.ndjson');
    const mended = await mend(rejects, 'mended.ndjson', ({ row, record }) =>
      row === 2 ? 'b;2' : row === 3 ? String(record).replace('three', '3') : record,
    );
    const source = () => replay({ run: first.run, path: mended });
    const second = await load({ source: source(), sink: into(), runDir: join(folder, 'second'), batchRows: 2 });
    expect(second).toMatchObject({
      status: 'complete-with-rejects',
      source: `replay of ${first.run}`,
      read: 3,
      written: 2,
      rejected: 1,
      skipped: 0,
    });
    const all = [
      { id: 1, name: 'a "1"' },
      { id: 2, name: 'b' },
      { id: 3, name: 'c\r\nd' },
      { id: 6, name: 'f' },
    ];
    expect(await rows()).toEqual(all);
    // What is refused again is known by the place where it first stood.
    const [original] = (await linesOf(rejects)).filter(({ row }) => row === 4);
    expect(await linesOf(join(folder, 'second', 'rejects.ndjson'))).toEqual([original]);

    const third = await load({ source: source(), sink: into() });
    expect(third).toMatchObject({ status: 'complete-with-rejects', read: 3, written: 0, rejected: 1, skipped: 2 });
    expect(await rows()).toEqual(all);

    // By another file, of the replay's own rejects, and once for both names.
    const again = await mend(join(folder, 'second', 'rejects.ndjson'), 'again.ndjson', () => 'e;4');
    const fourth = await load({ source: replay({ run: second.run, path: again }), sink: into() });
    expect(fourth).toMatchObject({ status: 'complete', read: 1, written: 1 });
    for (const run of [first.run, second.run]) {
      const fifth = await load({ source: replay({ run, path: again }), sink: into() });
      expect(fifth).toMatchObject({ status: 'complete', read: 1, written: 0, skipped: 1 });
      expect(addsUp(fifth)).toBe(true);
    }
    expect((await rows()).length).toBe(5);
  });

  test('of mended text can do no harm to its neighbours', async () => {
    const first = await load({
      source: await csv('id,name\n1,a\nx,b\ny,c\nz,d\n'),
      sink: into(),
      runDir: folder,
    });
    // Together they would be two records of CSV.
    const open = await mend(join(folder, 'rejects.ndjson'), 'open.ndjson', ({ row }) =>
      row === 2 ? '2,"b' : row === 3 ? '3",x\n4,y' : '5,d',
    );
    const report = await load({
      source: replay({ run: first.run, path: open }),
      sink: into(),
      runDir: join(folder, 'r'),
    });
    expect(report).toMatchObject({ read: 3, written: 1, rejected: 2 });
    expect(await rows()).toEqual([
      { id: 1, name: 'a' },
      { id: 5, name: 'd' },
    ]);
    expect((await linesOf(join(folder, 'r', 'rejects.ndjson'))).map(({ row, record }) => [row, record])).toEqual([
      [2, '2,"b'],
      [3, '3",x\n4,y'],
    ]);
  });

  test('loads mended JSON records, digit for digit, through the mapping of the job', async () => {
    await db.client.query('ALTER TABLE t ADD big numeric');
    const path = join(folder, 'a.ndjson');
    await writeFile(
      path,
      '{"n":"x","v":{"big":12345678901234567890.10}}\n{"n":2,"v":{"big":1\n[3]\n{"n":4,"v":{"big":4}}\n',
    );
    const columns = { id: 'n', big: 'v.big', name: { value: 'c' } };
    const first = await load({ source: file({ path }), sink: into(), columns, runDir: folder });
    expect(first).toMatchObject({ written: 1, rejected: 3 });
    const text = await readFile(join(folder, 'rejects.ndjson'), 'utf8');
    const mended = join(folder, 'mended.ndjson');
    await writeFile(
      mended,
      text
        .replace('"n":"x"', '"n":1')
        .replace('{\\"n\\":2,\\"v\\":{\\"big\\":1"', '{\\"n\\":2,\\"v\\":{\\"big\\":1.50}}"'),
    );
    const second = await load({
      source: replay({ run: first.run, path: mended }),
      sink: into(),
      columns,
      runDir: join(folder, 'r'),
    });
    expect(second).toMatchObject({ read: 3, written: 2, rejected: 1 });
    expect(await rows()).toEqual([
      { id: 1, name: 'c', big: '12345678901234567890.10' },
      { id: 2, name: 'c', big: '1.50' },
      { id: 4, name: 'c', big: '4' },
    ]);
    expect(await linesOf(join(folder, 'r', 'rejects.ndjson'))).toMatchObject([
      { row: 3, code: 'not-an-object', record: '[3]' },
    ]);
  });

  test('of a run by its name takes its rejects from the ledger', async () => {
    const first = await load({ source: await csv('name,id\na,1\nb,99999999999\nc,x\n'), sink: into() });
    expect(first.rejected).toBe(2);
    await db.client.query('ALTER TABLE t ALTER id TYPE bigint');
    const second = await load({ source: replay({ run: first.run }), sink: into() });
    expect(second).toMatchObject({ read: 2, written: 1, rejected: 1 });
    const third = await load({ source: replay({ run: second.run }), sink: into() });
    expect(third).toMatchObject({ read: 1, written: 0, rejected: 1 });
    const fourth = await load({ source: replay({ run: first.run }), sink: into() });
    expect(fourth).toMatchObject({ read: 2, written: 0, rejected: 1, skipped: 1 });
    expect(await rows()).toEqual([
      { id: '1', name: 'a' },
      { id: '99999999999', name: 'b' },
    ]);
    const unknown = load({ source: replay({ run: 'nowhere' }), sink: into() });
    await expect(unknown).rejects.toMatchObject({ code: 'no-such-run' });
  });

  test('killed in the middle goes on by itself: in the end each reject is there once', async () => {
    const path = join(folder, 'a.ndjson');
    await writeFile(path, `{"id":0}\n${'"no object"\n'.repeat(6_000)}`);
    const first = await load({ source: file({ path }), sink: into(), runDir: folder, maxErrors: 6_000 });
    expect(first.rejected).toBe(6_000);
    await db.client.query('TRUNCATE t');
    // Some stay bad.
    const mended = await mend(join(folder, 'rejects.ndjson'), 'mended.ndjson', ({ row, record }) =>
      row % 300 === 0 ? record : { id: row, name: 'n' },
    );
    const source = () => replay({ run: first.run, path: mended });
    for (let cut = 1; cut <= 3; cut++) {
      const stop = new AbortController();
      const onProgress = ({ settled, skipped }: { settled: number; skipped: number }) => {
        if (settled > skipped) stop.abort(new Error('cut'));
      };
      await reportFrom({ source: source(), sink: into(), batchRows: 50, workers: 3, signal: stop.signal, onProgress });
    }
    const { count } = (await db.client.query('SELECT count(*)::int FROM t')).rows[0];
    expect(count).toBeGreaterThan(0);
    const last = await load({ source: source(), sink: into() });
    expect(last).toMatchObject({ status: 'complete-with-rejects', read: 6_000, rejected: 20, skipped: count });
    expect(addsUp(last)).toBe(true);
    const sums =
      'SELECT count(*)::int, count(DISTINCT id)::int AS ids, count(*) FILTER (WHERE id % 300 = 0)::int AS bad FROM t';
    expect((await db.client.query(sums)).rows).toEqual([{ count: 5_980, ids: 5_980, bad: 0 }]);
  });

  test('whose rejects another one writes meanwhile writes none of them twice', async () => {
    const first = await load({ source: await csv('id,name\nx,a\ny,b\n'), sink: into(), runDir: folder });
    const path = await mend(join(folder, 'rejects.ndjson'), 'mended.ndjson', ({ row }) => `${row},m`);
    const sink = into();
    const late = {
      ...boundTo(sink),
      open: async (...args: Parameters<typeof sink.open>) => {
        // It has read which rejects are still to be written.
        await load({ source: replay({ run: first.run, path }), sink: into({ key: ['id'] }) });
        await sink.open(...args);
      },
    };
    const report = await reportFrom({ source: replay({ run: first.run, path }), sink: late });
    expect(report).toMatchObject({ status: 'failed', written: 0, error: { code: 'replayed-meanwhile' } });
    expect(await rows()).toEqual([
      { id: 1, name: 'm' },
      { id: 2, name: 'm' },
    ]);
  });
});

function boundTo(sink: ReturnType<typeof postgres>): ReturnType<typeof postgres> {
  return {
    name: sink.name,
    identity: sink.identity,
    traits: sink.traits,
    ...(sink.ledger && { ledger: sink.ledger }),
    plan: (intake, context) => sink.plan(intake, context),
    open: (context) => sink.open(context),
    write: (batch, context) => sink.write(batch, context),
    classify: sink.classify,
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  };
}

describe('a replay', () => {
  beforeEach(async () => {
    db = await scratchDatabase();
    await db.client.query('CREATE TABLE t (id int, name text)');
  });

  test('takes a reject that stands in a file twice once', async () => {
    const first = await load({ source: await csv('id,name\nx,a\n'), sink: into(), runDir: folder });
    const path = await mend(join(folder, 'rejects.ndjson'), 'mended.ndjson', () => '1,a');
    const line = await readFile(path, 'utf8');
    await writeFile(path, line + line.replace('1,a', '2,a'));
    const report = await load({ source: replay({ run: first.run, path }), sink: into() });
    expect(report).toMatchObject({ status: 'complete', read: 2, written: 1, duplicate: 1 });
    expect(await rows()).toEqual([{ id: 1, name: 'a' }]);
  });

  test('names the line of a file that was mended too much', async () => {
    const first = await load({ source: await csv('id,name\nx,a\ny,b\n'), sink: into(), runDir: folder });
    const good = await readFile(join(folder, 'rejects.ndjson'), 'utf8');
    const path = join(folder, 'mended.ndjson');
    for (const [text, where] of [
      [`${good}{"split":"a.csv","record":"1,a"}\n`, 'reject 3'],
      [`{"split":"a.csv"\n${good}`, 'reject 1'],
    ] as const) {
      await writeFile(path, text);
      const report = load({ source: replay({ run: first.run, path }), sink: into() });
      await expect(report).rejects.toMatchObject({ code: 'bad-rejects-file', message: expect.stringContaining(where) });
    }
    const missing = load({ source: replay({ run: first.run, path: `${path}.none` }), sink: into() });
    await expect(missing).rejects.toMatchObject({ code: 'no-such-file' });
  });

  test('with a field that no column takes costs that record alone, until there is one', async () => {
    // Beyond the sample, so that the load begins.
    const records = [...Array.from({ length: 1_500 }, (_, id) => ({ id })), { id: 1, extra: 5 }, { id: 'x' }];
    const first = await load({ source: iterable(records), sink: into(), runDir: folder });
    expect(first).toMatchObject({ written: 1_500, rejected: 2 });
    await db.client.query('TRUNCATE t');
    const mended = await mend(join(folder, 'rejects.ndjson'), 'mended.ndjson', ({ record, row }) =>
      row === 1_502 ? { id: 2 } : record,
    );
    const source = () => replay({ run: first.run, path: mended });
    const second = await load({ source: source(), sink: into(), runDir: join(folder, 'r') });
    expect(second).toMatchObject({ written: 1, rejected: 1 });
    expect(await linesOf(join(folder, 'r', 'rejects.ndjson'))).toMatchObject([{ code: 'unknown-field', row: 1_501 }]);
    await db.client.query('ALTER TABLE t ADD extra int');
    expect(await load({ source: source(), sink: into() })).toMatchObject({ written: 1, rejected: 0, skipped: 1 });
    expect((await db.client.query('SELECT id, extra FROM t ORDER BY id')).rows).toEqual([
      { id: 1, extra: 5 },
      { id: 2, extra: null },
    ]);
  });

  test('of records that still can not be read at all does not pass for a good one', async () => {
    const path = join(folder, 'a.ndjson');
    await writeFile(path, '{"id":1}\n[2]\n');
    const first = await load({ source: file({ path }), sink: into(), runDir: folder });
    const again = load({ source: replay({ run: first.run }), sink: into() });
    await expect(again).rejects.toMatchObject({ code: 'no-usable-record' });
    const mapped = await load({ source: replay({ run: first.run }), sink: into(), columns: { id: 'id' } });
    expect(mapped).toMatchObject({ status: 'complete-with-rejects', read: 1, rejected: 1 });
  });

  test('without a ledger, or as a resume, is refused', async () => {
    const first = await load({ source: await csv('id,name\nx,a\ny,b\n'), sink: into(), runDir: folder });
    const path = await mend(join(folder, 'rejects.ndjson'), 'mended.ndjson', ({ row }) => `${row},m`);
    const without = load({ source: replay({ run: first.run, path }), sink: into({ ledger: false }) });
    await expect(without).rejects.toMatchObject({ code: 'no-ledger' });
    await load({ source: replay({ run: first.run, path }), sink: into(), limit: 1 });
    const resumed = load({ source: replay({ run: first.run, path }), sink: into(), resume: true });
    await expect(resumed).rejects.toMatchObject({ code: 'source-changed' });
    const again = await load({ source: replay({ run: first.run, path }), sink: into(), verify: 'sample' });
    expect(again).toMatchObject({ status: 'complete', written: 1, skipped: 1, verify: { compared: 1, missing: 0 } });
    expect((await rows()).length).toBe(2);
  });
});

describe('sluice replay', () => {
  beforeEach(async () => {
    db = await scratchDatabase();
    await db.client.query('CREATE TABLE t (id int, name text)');
    await csv('id,name\n1,a\nx,b\ny,c\n');
  });
  const run = (...args: string[]) => sluice([...args, '--json'], { cwd: folder });

  test('loads the mended rejects of a run folder, by flags or by a job file, and reports as load does', async () => {
    const first = await run('load', 'a.csv', db.url, '--table', 't', '--run-dir', 'r1');
    expect(first.code).toBe(1);
    await mend(join(folder, 'r1', 'rejects.ndjson'), 'mended.ndjson', ({ row, record }) =>
      row === 2 ? '2,b' : record,
    );
    const second = await run('replay', './r1', db.url, '--table', 't', '--from', 'mended.ndjson', '--run-dir', 'r2');
    expect(second.code).toBe(1);
    expect(reportOf(second)).toMatchObject({
      read: 2,
      written: 1,
      rejected: 1,
      source: `replay of ${reportOf(first).run}`,
    });
    // In place, and by the job file.
    await mend(join(folder, 'r1', 'rejects.ndjson'), 'r1/rejects.ndjson', ({ row }) => `${row},m`);
    await writeFile(
      join(folder, 'job.yaml'),
      `source: { file: { path: a.csv } }\nsink: { postgres: { url: "${db.url}", table: t } }\n`,
    );
    const third = await run('replay', './r1', '--job', 'job.yaml', '--verify', 'sample');
    expect(third.code).toBe(0);
    expect(reportOf(third)).toMatchObject({ read: 2, written: 1, skipped: 1, verify: { compared: 1, missing: 0 } });
    expect(await rows()).toEqual([
      { id: 1, name: 'a' },
      { id: 2, name: 'b' },
      { id: 3, name: 'm' },
    ]);
  });

  test('refuses a file of another run, and lines that are no rejects of this one', { timeout: 180_000 }, async () => {
    const first = reportOf(await run('load', 'a.csv', db.url, '--table', 't', '--run-dir', 'r1'));
    await csv('id,name\n3,a\nv,b\nw,c\n');
    const second = reportOf(await run('load', 'a.csv', db.url, '--table', 't', '--run-dir', 'r2'));
    await mend(join(folder, 'r1', 'rejects.ndjson'), 'm1.ndjson', ({ row }) => `${row * 10},m`);
    const into = [db.url, '--table', 't'];
    const wrong = await run('replay', './r2', ...into, '--from', 'm1.ndjson');
    expect(wrong.code).toBe(3);
    expect(reportOf(wrong)).toMatchObject({
      written: 0,
      error: { code: 'other-run', message: expect.stringContaining(String(first.run)) },
    });
    const lines = await linesOf(join(folder, 'r2', 'rejects.ndjson'));
    const invented = lines.map((line) => `${JSON.stringify({ ...line, row: line.row + 100, record: '9,i' })}\n`);
    await writeFile(join(folder, 'invented.ndjson'), invented.join(''));
    expect(reportOf(await run('replay', './r2', ...into, '--from', 'invented.ndjson'))).toMatchObject({
      written: 0,
      error: { code: 'bad-rejects-file' },
    });
    // A replay's own rejects are those of the run it replayed, and a run shows those that nobody has written since.
    const shown = async (run: unknown) => {
      const { stdout } = await sluice(['runs', 'show', String(run), db.url, '--json'], { cwd: folder });
      return JSON.parse(stdout) as unknown;
    };
    expect(await shown(second.run)).toMatchObject({ rejected: 2, replayed: 0, rejects: [{ row: 2 }, { row: 3 }] });
    await mend(join(folder, 'r2', 'rejects.ndjson'), 'r2/rejects.ndjson', ({ row }) => (row === 2 ? '20,m' : 'x,m'));
    const third = reportOf(await run('replay', './r2', ...into, '--run-dir', 'r3'));
    expect(third).toMatchObject({ written: 1, rejected: 1 });
    expect(await shown(second.run)).toMatchObject({ rejected: 2, replayed: 1, rejects: [{ row: 3 }] });
    expect(await shown(third.run)).toMatchObject({ rejected: 1, replayed: 0, rejects: [{ row: 3 }] });
    const told = await sluice(['runs', 'show', String(second.run), db.url], { cwd: folder });
    expect(told.stdout).toContain('3 settled, 2 of them rejected, 1 of those replayed since');
    expect(told.stdout).not.toContain('row 2:');
    expect((await linesOf(join(folder, 'r3', 'rejects.ndjson')))[0]).toMatchObject({ run: second.run, row: 3 });
    await mend(join(folder, 'r3', 'rejects.ndjson'), 'r3/rejects.ndjson', () => '30,m');
    expect(reportOf(await run('replay', './r3', ...into, '--run-dir', 'r4'))).toMatchObject({ written: 1 });
    expect(await shown(second.run)).toMatchObject({ rejected: 2, replayed: 2, rejects: [] });
    expect(await shown(third.run)).toMatchObject({ rejected: 1, replayed: 1, rejects: [] });
    expect((await rows()).map((row) => (row as { id: number }).id)).toEqual([1, 3, 20, 30]);
  });

  test('takes the job from the folder, and its table, columns and limits with it', async () => {
    await db.client.query('ALTER TABLE t ADD PRIMARY KEY (id)');
    const flags = ['--table', 't', '--mode', 'upsert', '--columns', 'id=id,name=name', '--limit', '2'];
    const first = await run('load', 'a.csv', db.url, ...flags, '--run-dir', 'r1');
    expect(reportOf(first)).toMatchObject({ read: 2, rejected: 1 });
    await mend(join(folder, 'r1', 'rejects.ndjson'), 'r1/rejects.ndjson', () => '1,mended');
    const { password } = new URL(db.url);
    const second = await sluice(['replay', './r1', '--json'], { cwd: folder, env: { PGPASSWORD: password } });
    expect(second.code).toBe(0);
    expect(reportOf(second)).toMatchObject({ read: 1, written: 1 });
    expect(await rows()).toEqual([{ id: 1, name: 'mended' }]);
    const elsewhere = await run('replay', './r1', '--table', 'other', '--mode', 'upsert');
    expect(reportOf(elsewhere)).toMatchObject({
      error: { code: 'bad-usage', message: expect.stringContaining('--table') },
    });
    const locked = await run('replay', './r1');
    if (password !== '') expect(locked.stderr).toContain('PGPASSWORD');
  });

  test('killed at any moment and started again writes each reject once', { timeout: 180_000 }, async () => {
    await writeFile(join(folder, 'a.ndjson'), `{"id":0,"name":"n"}\n${'"no object"\n'.repeat(20_000)}`);
    const first = await run('load', 'a.ndjson', db.url, '--table', 't', '--run-dir', 'r1', '--max-errors', '100%');
    const failed = reportOf(first);
    expect(failed).toMatchObject({ status: 'complete-with-rejects', rejected: 20_000 });
    await mend(join(folder, 'r1', 'rejects.ndjson'), 'mended.ndjson', ({ row }) => ({ id: row, name: 'n' }));
    const args = [
      'replay',
      String(failed.run),
      db.url,
      '--table',
      't',
      '--from',
      'mended.ndjson',
      '--batch-size',
      '100',
      '--json',
    ];
    let killed = 0;
    for (let i = 0; i < 4; i++) {
      const { process: child, ended } = start(args, { cwd: folder, input: '' });
      const [{ count: before }] = (await db.client.query('SELECT count(*)::int FROM t')).rows;
      for (let after = before; after === before && child.exitCode === null; ) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        [{ count: after }] = (await db.client.query('SELECT count(*)::int FROM t')).rows;
      }
      child.kill('SIGKILL');
      if ((await ended).code === null) killed += 1;
    }
    // A batch of the one just killed may be on its way still: then the replay says so, and is started again.
    let last = reportOf(await sluice(args, { cwd: folder }));
    while (last.status === 'failed') {
      expect(last).toMatchObject({ error: { code: 'replayed-meanwhile' } });
      last = reportOf(await sluice(args, { cwd: folder }));
    }
    expect(last).toMatchObject({ status: 'complete', read: 20_000, rejected: 0 });
    expect(killed).toBeGreaterThan(0);
    const sums = 'SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM t';
    expect((await db.client.query(sums)).rows).toEqual([{ count: 20_001, ids: 20_001 }]);
  });

  test('loads the rejects of a named run, and refuses to overwrite what it reads', async () => {
    const first = reportOf(await run('load', 'a.csv', db.url, '--table', 't', '--run-dir', 'r1'));
    await db.client.query('ALTER TABLE t ALTER id TYPE text');
    const refused = await run('replay', './r1', db.url, '--table', 't', '--run-dir', 'r1');
    expect(refused.code).toBe(3);
    expect(reportOf(refused)).toMatchObject({ error: { code: 'bad-usage' } });
    await rm(join(folder, 'r1', 'job.json'));
    const jobless = await run('replay', './r1');
    expect(reportOf(jobless)).toMatchObject({
      error: { code: 'bad-usage', message: expect.stringContaining('--job') },
    });
    const named = await run('replay', String(first.run), db.url, '--table', 't');
    expect(named.code).toBe(0);
    expect(reportOf(named)).toMatchObject({ read: 2, written: 2 });
  });
});
