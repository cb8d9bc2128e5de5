import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';
import { client, type Invoked, memorySize, type Sandbox, startSandbox } from './lambda.js';
import { type RowsApi, startRowsApi } from './rows-api.js';
import { execute } from './state-machine.js';

const rows = Number(process.env.SLUICE_LAMBDA_ROWS ?? 100_000);
const limit = Number(process.env.SLUICE_LAMBDA_LIMIT ?? 3_000);
/** Milliseconds an answer of the API takes: with eight requests at once, reading alone lasts 4 s. */
const delay = Math.ceil((4_000 * 8 * 1_000) / rows);
const patience = 60_000 + rows / 5;
const mebibyte = 1024 * 1024;

function jobFor(api: RowsApi, database: ScratchDatabase, sink: object): string {
  return JSON.stringify({
    source: {
      http: {
        url: api.url,
        pagination: { style: 'page', size: { param: 'size', value: 1_000 }, total: { header: 'X-Total-Count' } },
        parallel: 8,
      },
    },
    sink: { postgres: { url: database.url, table: 'loaded', ...sink } },
    columns: { id: 'id', name: 'name', amount: 'amount' },
  });
}

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-lambda-'));
  await mkdir(join(root, 'jobs'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A sandbox whose function loads `job`: the bundle's, with the job as its file, where AWS's own client runs it. */
async function sandboxFor(job: string): Promise<Sandbox> {
  if (client === undefined) return await startSandbox({ JOB: job });
  await writeFile(join(root, 'jobs', 'load.yaml'), job);
  return await startSandbox({ LAMBDA_TASK_ROOT: root }, 'dist-lambda/function/index.mjs');
}

const definition = await readFile('examples/lambda/long-load.asl.json', 'utf8');

/** Loads as the example's state machine does: with what the last result said to go on with, until it is complete. */
async function untilComplete(
  sandbox: Sandbox,
  options: (invocation: number) => { limit: number; killAfter?: number },
): Promise<Invoked[]> {
  const all: Invoked[] = [];
  await execute(definition, 'nightly', {}, async (payload) => {
    const invoked = await sandbox.invoke(payload, options(all.length));
    all.push(invoked);
    return invoked;
  });
  return all;
}

/** What a person wants to know of a load of this size. */
function tell({ group, peak }: Sandbox, all: readonly Invoked[]): void {
  const held =
    group === undefined ? 'no cgroup' : `${group.kind} of ${memorySize} MiB, ${inMebibytes(group.peak() ?? 0)}`;
  const killed = all.filter(({ kind }) => kind === 'killed').length;
  console.log(
    `${rows} rows: ${all.length} invocations of at most ${limit} ms, ${killed} killed on purpose; resident ${inMebibytes(peak())}, ${held}`,
  );
}

function inMebibytes(bytes: number): string {
  return `${(bytes / mebibyte).toFixed(0)} MiB`;
}

/** Every id once, each with its own values. */
async function exact(database: ScratchDatabase): Promise<unknown> {
  const { rows: found } = await database.client.query(
    `SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids, max(id) AS last,
  count(*) FILTER (WHERE name <> 'record ' || id OR amount <> id + 0.5)::int AS wrong FROM loaded`,
  );
  return found[0];
}

const table = 'CREATE TABLE loaded (id int NOT NULL, name text NOT NULL, amount numeric NOT NULL)';
const whole = { rows, ids: rows, last: rows, wrong: 0 };

describe('a load longer than an invocation', () => {
  test('is complete and exact through many, none killed at its limit', { timeout: patience }, async () => {
    await using database = await scratchDatabase();
    await using api = await startRowsApi(rows, delay);
    await database.client.query(table);
    await using sandbox = await sandboxFor(jobFor(api, database, { mode: 'append' }));
    const all = await untilComplete(sandbox, () => ({ limit }));
    expect(await exact(database)).toEqual(whole);
    expect(all.filter(({ kind }) => kind === 'killed')).toEqual([]);
    expect(all.length).toBeGreaterThan(1);
    expect(sandbox.starts).toBe(1);
    tell(sandbox, all);
    expect(sandbox.peak()).toBeLessThan(memorySize * mebibyte);
    const { rows: runs } = await database.client.query('SELECT run, status FROM sluice.run');
    expect(runs).toEqual([{ run: 'nightly', status: 'complete' }]);
    // Its name makes it happen once.
    const again = await sandbox.invoke({ run: 'nightly' });
    expect(again).toMatchObject({ kind: 'answer', value: { status: 'complete', run: 'nightly', report: null } });
    expect(await exact(database)).toEqual(whole);
  });

  test('is exact although invocations are killed at random', { timeout: patience }, async () => {
    await using database = await scratchDatabase();
    await using api = await startRowsApi(rows, delay);
    await database.client.query(table);
    await using sandbox = await sandboxFor(jobFor(api, database, { mode: 'append' }));
    const all = await untilComplete(sandbox, (invocation) =>
      // Before the second could have read the rest.
      invocation % 3 === 1 ? { limit, killAfter: 300 + Math.random() * 700 } : { limit },
    );
    expect(await exact(database)).toEqual(whole);
    expect(all.some(({ kind }) => kind === 'killed')).toBe(true);
    expect(all.filter((invoked) => invoked.kind === 'killed' && invoked.atLimit)).toEqual([]);
    tell(sandbox, all);
    expect(sandbox.peak()).toBeLessThan(memorySize * mebibyte);
  });
});
