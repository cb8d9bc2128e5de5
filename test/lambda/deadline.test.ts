import { describe, expect, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';
import { type Invoked, type Sandbox, startSandbox } from './lambda.js';
import { type RowsApi, startRowsApi } from './rows-api.js';

const rows = Number(process.env.SLUICE_LAMBDA_ROWS ?? 150_000);
const limit = Number(process.env.SLUICE_LAMBDA_LIMIT ?? 2_000);
const patience = 30_000 + rows / 5;

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

/** As a state machine does: invokes with what the last result said to go on with, until it is complete; after a death again. */
async function untilComplete(
  sandbox: Sandbox,
  event: object,
  options: (invocation: number) => { limit: number; killAfter?: number },
): Promise<Invoked[]> {
  const all: Invoked[] = [];
  let next: unknown = event;
  for (;;) {
    const invoked = await sandbox.invoke(next, options(all.length));
    all.push(invoked);
    if (invoked.kind === 'error') throw new Error(`${invoked.type}: ${invoked.message}`);
    if (invoked.kind === 'killed') continue;
    const answer = invoked.value as { status: string; next?: unknown };
    if (answer.status === 'complete') return all;
    expect(answer.status).toBe('continue');
    next = answer.next;
  }
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
    await using api = await startRowsApi(rows, 80);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: jobFor(api, database, { mode: 'append' }) });
    const all = await untilComplete(sandbox, { run: 'nightly' }, () => ({ limit }));
    expect(await exact(database)).toEqual(whole);
    expect(all.filter(({ kind }) => kind === 'killed')).toEqual([]);
    expect(all.length).toBeGreaterThan(2);
    expect(sandbox.starts).toBe(1);
    const { rows: runs } = await database.client.query('SELECT run, status FROM sluice.run');
    expect(runs).toEqual([{ run: 'nightly', status: 'complete' }]);
    // Its name makes it happen once.
    const again = await sandbox.invoke({ run: 'nightly' });
    expect(again).toMatchObject({ kind: 'answer', value: { status: 'complete', run: 'nightly', report: null } });
    expect(await exact(database)).toEqual(whole);
  });

  test('is exact although invocations are killed at random', { timeout: patience }, async () => {
    await using database = await scratchDatabase();
    await using api = await startRowsApi(rows, 80);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: jobFor(api, database, { mode: 'append' }) });
    const all = await untilComplete(sandbox, { run: 'nightly' }, (invocation) =>
      invocation % 3 === 1 ? { limit, killAfter: 300 + Math.random() * (limit - 400) } : { limit },
    );
    expect(await exact(database)).toEqual(whole);
    expect(all.some(({ kind }) => kind === 'killed')).toBe(true);
    expect(all.filter((invoked) => invoked.kind === 'killed' && invoked.atLimit)).toEqual([]);
  });
});
