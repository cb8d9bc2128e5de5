import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startPostgres } from '../../src/hosts/cli/demo/postgres-server.js';
import { load } from '../../src/index.js';
import { postgres } from '../../src/sinks/postgres/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { startCrashingServer } from '../chaos/server.js';
import { lineTo } from '../sinks/postgres/line.js';

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

test('a batch lost in a crash is written again, though its transaction number was given to another that committed', async () => {
  await using server = await startCrashingServer();
  await using line = await lineTo(server.url);
  await server.query('CREATE TABLE t (id int); CREATE TABLE other (id int)');
  let commits = 0;
  let recovered: Promise<void> | undefined;
  let away = false;
  line.onSent = (data) => {
    if (data.includes('sluice.span') && data.includes('COMMIT\0') && ++commits === 3) {
      away = true;
      recovered = server.crash().then(async () => {
        // The log of the lost transaction had not been written: the server counts on from before it.
        await server.query('DO $$ BEGIN FOR i IN 1..50 LOOP INSERT INTO other VALUES (i); COMMIT; END LOOP; END $$');
        away = false;
      });
    }
    return !away;
  };
  const report = await load({
    source: iterable(Array.from({ length: 5_000 }, (_, id) => ({ id }))),
    sink: postgres({ url: line.url, table: 't' }),
    batchRows: 1_000,
    workers: 1,
  });
  expect(recovered).toBeDefined();
  expect(report).toMatchObject({ status: 'complete', written: 5_000 });
  expect(await server.query('SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM t')).toEqual([
    { count: 5_000, ids: 5_000 },
  ]);
});

test('rows that a server confirmed and then lost in a crash are missed, and a resume writes them again', async () => {
  await using server = await startCrashingServer({ synchronous_commit: 'off', wal_writer_delay: '10s' });
  await server.query('CREATE TABLE t (id int)');
  const sink = () => postgres({ url: server.url, table: 't' });
  const records = Array.from({ length: 15_000 }, (_, id) => ({ id }));
  let settled = 0;
  let crashed: Promise<void> | undefined;
  async function* slow() {
    yield* records.slice(0, 5_000);
    while (settled < 5_000) await sleep(10);
    // What is written up to here stays.
    await server.query('CHECKPOINT');
    yield* records.slice(5_000, 10_000);
    while (settled < 10_000) await sleep(10);
    crashed = server.crash();
    await crashed;
    yield* records.slice(10_000);
  }
  const onProgress = (figures: { settled: number }) => {
    settled = figures.settled;
  };
  const first = load({ source: iterable(slow()), sink: sink(), batchRows: 1_000, onProgress });
  await expect(first).rejects.toMatchObject({ code: 'settled-lost', message: expect.stringContaining('5000 rows') });
  const report = await load({ source: iterable(records), sink: sink(), resume: true });
  expect(report).toMatchObject({ status: 'complete', read: 15_000, skipped: 10_000, written: 5_000 });
  expect(await server.query('SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM t')).toEqual([
    { count: 15_000, ids: 15_000 },
  ]);
});

test('a server that is away for seconds when the run begins or ends costs time, and nothing else', async () => {
  await using server = await startCrashingServer();
  await server.query('CREATE TABLE t (id int)');
  await using line = await lineTo(server.url);
  let away = 0;
  const seen = new Set<string>();
  line.onSent = (data) => {
    for (const words of ['INSERT INTO sluice.run', 'finished = now()']) {
      if (!data.includes(words) || seen.has(words)) continue;
      seen.add(words);
      away = performance.now() + 3_000;
    }
    return performance.now() > away;
  };
  const report = await load({
    source: iterable(Array.from({ length: 5_000 }, (_, id) => ({ id }))),
    sink: postgres({ url: line.url, table: 't' }),
  });
  expect(seen.size).toBe(2);
  expect(report).toMatchObject({ status: 'complete', written: 5_000 });
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
