import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';
import { type Folder, reportOf, scratchFolder, sluice, start } from './sluice.js';

let db: ScratchDatabase;
let folder: Folder;
beforeEach(async () => {
  db = await scratchDatabase();
  folder = await scratchFolder();
  await db.client.query('CREATE TABLE t (id int PRIMARY KEY, n serial, name text)');
  await db.client.query(`INSERT INTO t (id, name) VALUES (1, 'was there')`);
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

/** Writes the CSV file and the job, and gives the job's path. */
async function job(rows: number, sink = '{}'): Promise<string> {
  const lines = Array.from({ length: rows }, (_, i) => `${i},number ${i}`);
  await writeFile(join(folder.path, 'rows.csv'), `id,name\n${lines.join('\n')}\n`);
  const path = join(folder.path, 'job.yaml');
  const target = { url: db.url, table: 't', ...JSON.parse(sink) };
  await writeFile(path, `source: { file: { path: rows.csv } }\nsink: { postgres: ${JSON.stringify(target)} }\n`);
  return path;
}

/** All that a user would find in the database. */
async function contents(): Promise<unknown> {
  const { rows: schemas } = await db.client.query(
    `SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY nspname`,
  );
  const { rows: relations } = await db.client.query(
    `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname`,
  );
  const { rows } = await db.client.query('SELECT * FROM t ORDER BY id');
  const { rows: sequence } = await db.client.query('SELECT last_value, is_called FROM t_n_seq');
  return { schemas, relations, rows, sequence };
}

const quick = ['--counts', '1,3', '--seconds', '1'];

describe('sluice sweep', () => {
  test('prints a table and the curve, keeps both, and leaves the database as it was', async () => {
    const path = await job(20_000);
    const before = await contents();
    const ended = await sluice(['sweep', path, ...quick, '--run-dir', 'out'], { cwd: folder.path });
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout).toMatch(/^ workers +seconds +rows\/s +p99 a row +of best$/m);
    expect(ended.stdout).toMatch(/^ +3 +[\d.]+ +[\d,]+ +[\d,]+ µs +\d+ %$/m);
    expect(ended.stdout).toMatch(/^adaptive +\d+ workers? in the end/m);
    expect(ended.stdout).toContain('▲ knee');
    expect(await contents()).toEqual(before);
    const picture = await readFile(join(folder.path, 'out/sweep.svg'), 'utf8');
    expect(picture).toMatch(/^<svg .*<polyline .*<\/svg>\n$/s);
    const kept = JSON.parse(await readFile(join(folder.path, 'out/sweep.json'), 'utf8'));
    expect(kept).toMatchObject({ status: 'sweep', rows: 20_000, rejected: 0, failures: [] });
    expect(kept.points.map(({ workers }: { workers: unknown }) => workers)).toEqual([1, 3, 'adaptive']);
  });

  test('measures an upsert with the key of the table, and no more rows than it is given', async () => {
    const path = await job(5_000, '{"mode":"upsert"}');
    const before = await contents();
    const args = ['sweep', path, ...quick, '--rows', '2000', '--json', '--svg', 'curve.svg'];
    const ended = await sluice(args, { cwd: folder.path });
    expect(ended).toMatchObject({ code: 0 });
    expect(reportOf(ended)).toMatchObject({ rows: 2_000, svg: 'curve.svg', rejected: 0 });
    expect(await contents()).toEqual(before);
  });

  test('makes the table only in the scratch schema when the job would make it', async () => {
    const path = await job(2_000, '{"table":"made","create":true}');
    const before = await contents();
    const ended = await sluice(['sweep', path, ...quick], { cwd: folder.path });
    expect(ended).toMatchObject({ code: 0 });
    expect(await contents()).toEqual(before);
  });

  test('drops all it made when it is interrupted in the middle', async () => {
    const path = await job(50_000);
    const before = await contents();
    const running = start(['sweep', path, '--counts', '1,2', '--seconds', '60'], { cwd: folder.path });
    await new Promise<void>((resolve) => {
      running.process.stderr?.on('data', (text: string) => {
        if (text.includes('pass 1')) resolve();
      });
    });
    // As npx passes on what the terminal has sent to all.
    running.process.kill('SIGINT');
    running.process.kill('SIGINT');
    const ended = await running.ended;
    expect(ended.stderr).toContain('SIGINT: stopping');
    expect(ended).toMatchObject({ code: 4 });
    expect(await contents()).toEqual(before);
  });

  test.each([
    ['a table that is not there', '{"table":"tt"}', [], /has no table "tt"/],
    ['records that the table refuses', '{"table":"strict"}', [], /each record of the sample was refused/],
    ['counts that are none', '{}', ['--counts', '1,none'], /--counts: expected whole numbers/],
    ['no free connection for any count', '{}', ['--counts', '5000'], /--counts: the server has \d+ connections free/],
  ])('says what is wrong with %s, and leaves nothing behind', async (_, sink, args, message) => {
    await db.client.query('CREATE TABLE strict (id int CHECK (id < 0), name text)');
    const path = await job(100, sink);
    const before = await contents();
    const ended = await sluice(['sweep', path, ...args], { cwd: folder.path });
    expect(ended.stderr).toMatch(message);
    expect(ended).toMatchObject({ code: 3 });
    expect(await contents()).toEqual(before);
  });

  test('says of a sink that can not be copied that it can not', async () => {
    const path = await job(10);
    const sink = 'sink: { aerospike: { url: "aerospike://127.0.0.1:1/test/users", key: id } }';
    await writeFile(path, `source: { file: { path: rows.csv } }\n${sink}\n`);
    const ended = await sluice(['sweep', path], { cwd: folder.path });
    expect(ended).toMatchObject({ code: 3, stderr: expect.stringContaining("the sink aerospike can't make one") });
  });

  test('tells programs what is wrong as JSON', async () => {
    const ended = await sluice(['sweep', join(folder.path, 'none.yaml'), '--json'], { cwd: folder.path });
    expect(reportOf(ended)).toMatchObject({ status: 'failed', error: { code: 'no-job-file' } });
  });
});
