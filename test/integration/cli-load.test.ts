import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { scratchDatabase } from '../servers/database.js';
import { reportOf, scratchFolder, sluice, start } from './sluice.js';

const cities = 'id,name,population\n1,Zürich,341730\n2,"Sankt\nGallen",70572\n3,Genève,183981\n';

/** A database, a folder with cities.csv, and the command in it. */
async function setUp() {
  const database = await scratchDatabase();
  const folder = await scratchFolder();
  await writeFile(join(folder.path, 'cities.csv'), cities);
  return {
    database,
    folder,
    sluice: (args: readonly string[], input = '') => sluice(args, { cwd: folder.path, input }),
    rows: async (sql: string) => (await database.client.query<Record<string, unknown>>(sql)).rows,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('sluice load', () => {
  test('loads a file into a table it makes, and says so', async () => {
    await using at = await setUp();
    const { code, stdout, stderr } = await at.sluice([
      'load',
      'cities.csv',
      at.database.url,
      '--table',
      'cities',
      '--create',
    ]);
    expect(stderr).toContain('Complete: 3 records');
    expect(stderr).toContain('read 3 = written 3 + unchanged 0 + duplicate 0 + rejected 0 + skipped 0');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(await at.rows('SELECT name, population::int FROM cities ORDER BY id')).toEqual([
      { name: 'Zürich', population: 341730 },
      { name: 'Sankt\nGallen', population: 70572 },
      { name: 'Genève', population: 183981 },
    ]);
  });

  test('with --json ends standard output with the report, and prints nothing else there', async () => {
    await using at = await setUp();
    await at.rows('CREATE SCHEMA geo');
    await at.rows('CREATE TABLE geo.cities (id int PRIMARY KEY, name text, population int)');
    await at.rows("INSERT INTO geo.cities VALUES (1, 'Zürich', 341730), (3, 'Geneva', 183981)");
    const args = ['cities.csv', at.database.url, '--table', 'geo.cities', '--mode', 'upsert', '--key', 'id'];
    const ended = await at.sluice(['load', ...args, '--workers', '2', '--json']);
    expect(ended.stdout.split('\n')).toHaveLength(2);
    const report = reportOf(ended);
    expect(report).toMatchObject({
      status: 'complete',
      read: 3,
      written: 2,
      unchanged: 1,
      duplicate: 0,
      rejected: 0,
      skipped: 0,
      problems: [],
      rejectsFile: null,
      error: null,
    });
    expect(ended.code).toBe(0);
    const runDir = join(at.folder.path, String(report.runDir));
    expect(JSON.parse(await readFile(join(runDir, 'report.json'), 'utf8'))).toEqual(report);
    expect(await readFile(join(runDir, 'log.ndjson'), 'utf8')).toContain('the run has ended');
  });

  test('loads standard input, and lets a share of the records be bad', async () => {
    await using at = await setUp();
    await at.rows('CREATE TABLE cities (id int PRIMARY KEY, name text)');
    const records = Array.from({ length: 2000 }, (_, id) =>
      JSON.stringify({ id: id === 77 ? 'x' : id, name: `c${id}` }),
    );
    const args = [
      'load',
      '-',
      at.database.url,
      '--format',
      'ndjson',
      '--table',
      'cities',
      '--max-errors',
      '1%',
      '--json',
    ];
    const ended = await at.sluice(args, `${records.join('\n')}\n`);
    expect(reportOf(ended)).toMatchObject({ status: 'complete-with-rejects', read: 2000, written: 1999, rejected: 1 });
    expect(ended.code).toBe(1);
    const rejects = await readFile(join(at.folder.path, String(reportOf(ended).rejectsFile)), 'utf8');
    expect(JSON.parse(rejects)).toMatchObject({ row: 78, column: 'id', code: '22P02' });
  });

  test('maps by a flag: constants, defaults and casts too', async () => {
    await using at = await setUp();
    await at.rows('CREATE TABLE places (id int, price numeric, land text, pop int, raw text, tags jsonb)');
    const records = ['{"id":1,"population":5,"tags":"a"}', '{"id":2,"population":null,"tags":["b",1.10]}'];
    const columns = 'id,price:=1.10,land:="no, none",pop=population??0,raw=$::text,tags::json';
    const args = ['load', '-', at.database.url, '--format', 'ndjson', '--table', 'places', '--columns', columns];
    expect((await at.sluice([...args, '--quiet'], `${records.join('\n')}\n`)).code).toBe(0);
    expect(await at.rows('SELECT id, price, land, pop, raw, tags::text FROM places ORDER BY id')).toEqual([
      { id: 1, price: '1.10', land: 'no, none', pop: 5, raw: records[0], tags: '"a"' },
      { id: 2, price: '1.10', land: 'no, none', pop: 0, raw: records[1], tags: '["b", 1.10]' },
    ]);
  });

  test('a mapping that leads nowhere is told, before the load and after it', async () => {
    await using at = await setUp();
    await at.rows('CREATE TABLE places (id int, lon numeric, lat numeric)');
    const columns = 'id,lon=loc.coords[0],lat=loc.coordinates[1]';
    const args = ['load', '-', at.database.url, '--format', 'ndjson', '--table', 'places', '--columns', columns];
    const input = '{"id":1,"loc":{"coordinates":[8.5,47.4]}}\n{"id":2,"loc":{"coordinates":[9.4,47.4]}}\n';
    const message = 'none of the 2 records looked at before the load has loc.coords[0] (column lon)';
    const planned = await at.sluice([...args, '--dry-run'], input);
    expect(planned.stdout).toContain(message);
    const ended = await at.sluice([...args, '--json'], input);
    expect(reportOf(ended)).toMatchObject({
      status: 'complete',
      written: 2,
      problems: [{ name: 'field-not-seen', message: expect.stringContaining(message), incomplete: false }],
    });
    expect(ended.code).toBe(0);
  });

  test('stops with 2 when more is bad than allowed', async () => {
    await using at = await setUp();
    await at.rows('CREATE TABLE cities (id int, name int, population int)');
    const args = ['cities.csv', at.database.url, '--table', 'cities', '--max-errors', '1'];
    const ended = await at.sluice(['load', ...args, '--json']);
    expect(reportOf(ended)).toMatchObject({ status: 'too-many-rejects', error: { code: 'too-many-rejects' } });
    expect(ended.code).toBe(2);
  });

  test('reads compressed files by a glob, columns renamed, up to a limit', async () => {
    await using at = await setUp();
    await mkdir(join(at.folder.path, 'in'));
    await writeFile(join(at.folder.path, 'in/a.ndjson.gz'), gzipSync('{"id":1,"loc":{"coordinates":[8.5,47.4]}}\n'));
    await writeFile(
      join(at.folder.path, 'in/b.ndjson.gz'),
      gzipSync('{"id":2,"loc":{"coordinates":[9.4,47.4]}}\n{"id":3}\n'),
    );
    await at.rows('CREATE TABLE places (id int, lon numeric)');
    const args = [
      'in/*.gz',
      at.database.url,
      '--table',
      'places',
      '--columns',
      'id,lon=loc.coordinates[0]',
      '--limit',
      '2',
    ];
    const { code, stderr } = await at.sluice(['load', ...args]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(await at.rows('SELECT * FROM places ORDER BY id')).toEqual([
      { id: 1, lon: '8.5' },
      { id: 2, lon: '9.4' },
    ]);
  });

  test('--dry-run shows what would be done, and does nothing', async () => {
    await using at = await setUp();
    const args = ['load', 'cities.csv', at.database.url, '--table', 'cities', '--create', '--dry-run'];
    const { code, stdout } = await at.sluice(args);
    expect(stdout).toContain('nothing was changed');
    expect(stdout).toMatch(/CREATE TABLE/i);
    expect(code).toBe(0);
    const ended = await at.sluice([...args, '--json']);
    expect(reportOf(ended)).toMatchObject({ status: 'dry-run', sampled: 3 });
    expect(await at.rows("SELECT to_regclass('cities') AS made")).toEqual([{ made: null }]);
    expect(await readdir(at.folder.path)).toEqual(['cities.csv']);
  });

  test('--quiet says nothing when all is well', async () => {
    await using at = await setUp();
    const args = ['load', 'cities.csv', at.database.url, '--table', 'cities', '--create', '--quiet'];
    expect(await at.sluice(args)).toEqual({ code: 0, stdout: '', stderr: '' });
    const { code, stderr } = await at.sluice(['load', 'nowhere.csv', at.database.url, '--table', 'cities', '--quiet']);
    expect(stderr).toContain('nowhere.csv');
    expect(code).toBe(3);
  });
});

describe('what goes wrong with a load', () => {
  test.each([
    ['no such table', (url: string) => url, 'nowhere'],
    ['no such database', (url: string) => url.replace(/[^/]+$/, 'nowhere'), 'cities'],
    ['nobody listens', (url: string) => url.replace(/:\d+\//, ':1/'), 'cities'],
    ['no such host', (url: string) => url.replace(/@[^/]+/, '@nowhere.invalid'), 'cities'],
  ])('%s: exits with 3, and tells without a stack', async (_name, change, table) => {
    await using at = await setUp();
    const ended = await at.sluice(['load', 'cities.csv', change(at.database.url), '--table', table, '--json']);
    const report = reportOf(ended);
    expect(report).toMatchObject({ status: 'failed', written: 0 });
    expect(ended.stderr).toContain('sluice: ');
    expect(ended.stderr).not.toMatch(/\n\s+at /);
    expect(ended.code).toBe(3);
  });

  test('shows no secret, in what is printed or in the run folder', async () => {
    await using at = await setUp();
    const secret = 'hunter2-hunter2';
    const url = new URL(at.database.url);
    url.username = 'nobody';
    url.password = secret;
    const ended = await at.sluice(['load', 'cities.csv', url.href, '--table', 'cities', '--run-dir', 'run', '--json']);
    expect(ended.code).toBe(3);
    const files = await readdir(join(at.folder.path, 'run'));
    expect(files).toContain('log.ndjson');
    const written = await Promise.all(files.map((file) => readFile(join(at.folder.path, 'run', file), 'utf8')));
    expect(ended.stdout + ended.stderr + written.join()).not.toContain(secret);
  });

  test('a full disk under the run folder is warned of once, and the load goes on', async () => {
    await using at = await setUp();
    await mkdir(join(at.folder.path, 'run'));
    for (const file of ['log.ndjson', 'rejects.ndjson', 'report.json']) {
      await symlink('/dev/full', join(at.folder.path, 'run', file));
    }
    const args = ['load', 'cities.csv', at.database.url, '--table', 'cities', '--create', '--run-dir', 'run'];
    const { code, stderr } = await at.sluice(args);
    expect(stderr.match(/log\.ndjson can't be written/g)).toHaveLength(1);
    expect(code).toBe(0);
    expect(await at.rows('SELECT count(*)::int AS count FROM cities')).toEqual([{ count: 3 }]);
  });

  test("a run folder that can't be made is warned of once, and the load goes on", async () => {
    await using at = await setUp();
    const args = [
      'load',
      'cities.csv',
      at.database.url,
      '--table',
      'cities',
      '--create',
      '--run-dir',
      'cities.csv/run',
    ];
    const ended = await at.sluice([...args, '--json']);
    expect(ended.stderr.match(/warning:/g)).toHaveLength(1);
    expect(reportOf(ended)).toMatchObject({ status: 'complete', runDir: null });
    expect(ended.code).toBe(0);
  });

  test('a reader of standard output that goes away does not matter', async () => {
    await using at = await setUp();
    const args = ['load', 'cities.csv', at.database.url, '--table', 'cities', '--create', '--json'];
    const running = start(args, { cwd: at.folder.path, input: '' });
    running.process.stdout?.destroy();
    const { code, stderr } = await running.ended;
    expect(stderr).toContain('Complete: 3 records');
    expect(code).toBe(0);
  });
});

describe('a signal', () => {
  const signals = ['SIGINT', 'SIGTERM'] as const;

  /** A load from a standard input that does not end, once it has read something. */
  async function endless(at: Awaited<ReturnType<typeof setUp>>) {
    await at.rows('CREATE TABLE numbers (id int)');
    const args = ['load', '-', at.database.url, '--format', 'csv', '--table', 'numbers', '--json'];
    const running = start(args, { cwd: at.folder.path });
    const rows = Array.from({ length: 1500 }, (_, id) => id);
    running.process.stdin?.write(`id\n${rows.join('\n')}\n`);
    for (;;) {
      const [{ count }] = (await at.rows('SELECT count(*)::int AS count FROM numbers')) as [{ count: number }];
      if (count > 0) return { running, count };
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  test.each(signals)('%s ends the reading; what was read is written, and the exit code is 4', async (signal) => {
    await using at = await setUp();
    const { running } = await endless(at);
    running.process.kill(signal);
    const ended = await running.ended;
    const report = reportOf(ended);
    expect(report).toMatchObject({ status: 'interrupted', rejected: 0, written: report.read });
    expect(ended.stderr).toContain(`${signal}: reading no more`);
    expect(ended.stderr).toContain(`To go on where it stopped: sluice resume ${report.runDir}\n`);
    expect(ended.code).toBe(4);
    expect(await at.rows('SELECT count(*)::int AS count FROM numbers')).toEqual([{ count: report.written }]);
  });

  test('a second one stops at once; what was committed stays', async () => {
    await using at = await setUp();
    const { running, count } = await endless(at);
    // Keeps the batches that follow from ending.
    await at.rows('BEGIN');
    await at.rows('LOCK TABLE numbers IN EXCLUSIVE MODE');
    running.process.stdin?.write(`${Array.from({ length: 1500 }, (_, id) => id).join('\n')}\n`);
    const waiting = 'SELECT FROM pg_locks WHERE NOT granted';
    await expect.poll(() => at.rows(waiting), { timeout: 20_000 }).not.toEqual([]);
    let told = '';
    running.process.stderr?.on('data', (text: string) => (told += text));
    running.process.kill('SIGINT');
    await expect.poll(() => told, { timeout: 20_000 }).toContain('reading no more');
    expect(running.process.exitCode).toBeNull();
    running.process.kill('SIGINT');
    const ended = await running.ended;
    await at.rows('ROLLBACK');
    expect(ended.stderr).toContain('SIGINT: stopping at once');
    expect(reportOf(ended)).toMatchObject({ status: 'interrupted', error: { code: 'interrupted' } });
    expect(ended.code).toBe(4);
    expect(await at.rows('SELECT count(*)::int AS count FROM numbers')).toEqual([{ count }]);
  });
});
