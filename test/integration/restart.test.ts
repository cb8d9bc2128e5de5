import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startPostgres } from '../../src/hosts/cli/demo/postgres-server.js';
import { load } from '../../src/index.js';
import { postgres } from '../../src/sinks/postgres/index.js';
import { iterable } from '../../src/sources/iterable/index.js';

test('a server that restarts in the middle costs time, and no row', async () => {
  await using server = await startPostgres({ fsync: 'off' });
  await query(server.url, 'CREATE TABLE t (id int)');
  const many = (from: number) => Array.from({ length: 100_000 }, (_, i) => ({ id: from + i }));
  async function* records() {
    yield many(0);
    // The second half meets a server that is going down.
    while (restarted === undefined) await sleep(10);
    yield many(100_000);
  }
  let restarted: Promise<void> | undefined;
  const report = await load({
    source: iterable(records()),
    sink: postgres({ url: server.url, table: 't' }),
    batchRows: 1_000,
    onProgress: ({ settled }) => {
      if (settled > 0) restarted ??= server.stop().then(() => server.start());
    },
  });
  await restarted;
  expect(report.retries).toBeGreaterThan(0);
  expect(report).toMatchObject({ status: 'complete', read: 200_000, written: 200_000 });
  const counts = await query(server.url, 'SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM t');
  expect(counts).toEqual([{ count: 200_000, ids: 200_000 }]);
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
