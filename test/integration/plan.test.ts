import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';
import { type Folder, reportOf, scratchFolder, sluice } from './sluice.js';

let db: ScratchDatabase;
let folder: Folder;
let job: string;
beforeEach(async () => {
  db = await scratchDatabase();
  folder = await scratchFolder();
  await db.client.query('CREATE TABLE t (id int PRIMARY KEY, name text)');
  const lines = Array.from({ length: 10_000 }, (_, i) => `${i},number ${i}`);
  await writeFile(join(folder.path, 'rows.csv'), `id,name\n${lines.join('\n')}\n`);
  job = await written('{ file: { path: rows.csv } }');
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

async function written(source: string): Promise<string> {
  const path = join(folder.path, 'job.yaml');
  await writeFile(path, `source: ${source}\nsink: { postgres: { url: "${db.url}", table: t } }\n`);
  return path;
}

async function left(): Promise<unknown> {
  const { rows } = await db.client.query(
    `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname ~ '^sluice')::int AS schemas, (SELECT count(*) FROM t)::int AS rows`,
  );
  return rows[0];
}

const plan = (...args: string[]) => sluice(['plan', job, '--seconds', '0.5', ...args], { cwd: folder.path });

describe('sluice plan', () => {
  test('says how long it will take, leaves nothing behind, and the next run reports what was said', async () => {
    const ended = await plan('--within', '1h', '--run-dir', 'planned');
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout).toMatch(/^records +10,000, \d+ bytes each$/m);
    expect(ended.stdout).toMatch(/^how long +[\d.]+ s \(9 of 10 times [\d.]+ s to [\d.]+ s\)$/m);
    expect(ended.stdout).toMatch(/^within +60 min 00 s: fits$|^within +1 h 00 min: fits$/m);
    expect(await left()).toEqual({ schemas: 0, rows: 0 });
    const kept = JSON.parse(await readFile(join(folder.path, 'planned/plan.json'), 'utf8'));
    const { least, seconds, most } = kept.predicted;
    expect([least, seconds, most]).toEqual([least, seconds, most].toSorted((a, b) => a - b));

    const run = await sluice(['run', job, '--json'], { cwd: folder.path });
    expect(run).toMatchObject({ code: 0 });
    const report = reportOf(run);
    expect(report).toMatchObject({ written: 10_000, predicted: kept.predicted });
    expect(run.stderr).toMatch(/^ {2}plan +predicted .* \(9 of 10 times .*\)$/m);
    // A prediction is none unless it is near what happens.
    expect(Number(report.seconds)).toBeLessThan(most * 5);
    expect(Number(report.seconds)).toBeGreaterThan(least / 5);
  });

  test('exits with 1 when it will not be done in time', async () => {
    const ended = await plan('--within', '0.0001s');
    expect(ended).toMatchObject({ code: 1 });
    expect(ended.stdout).toMatch(/: does not fit$/m);
  });

  test('takes the limit of the job for the number of records', async () => {
    await writeFile(job, `${await readFile(job, 'utf8')}limit: 3000\n`);
    const ended = await plan('--json');
    expect(reportOf(ended)).toMatchObject({ predicted: { rows: 3_000 }, fits: null, reckoned: false });
  });

  test('plans with the number of workers that the job fixes', async () => {
    await writeFile(job, `${await readFile(job, 'utf8')}workers: 3\n`);
    expect(reportOf(await plan('--json'))).toMatchObject({ workers: 3, predicted: { workers: 3 } });
  });

  test.each([
    ['standard input', '{ file: { path: "-", format: csv } }', [], /can be read once only/],
    ['a time that is none', '{ file: { path: rows.csv } }', ['--within', 'soon'], /--within: expected a time/],
  ])('says what is wrong with %s', async (_, source, args, message) => {
    job = await written(source);
    const ended = await plan(...args);
    expect(ended.stderr).toMatch(message);
    expect(ended).toMatchObject({ code: 3 });
    expect(await left()).toEqual({ schemas: 0, rows: 0 });
  });
});
