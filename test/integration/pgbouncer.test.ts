import pg from 'pg';
import { expect, inject, test, vi } from 'vitest';
import { load } from '../../src/index.js';
import { postgres, postgresKeeping } from '../../src/sinks/postgres/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { scratchDatabase } from '../servers/database.js';
import { pgbouncerInstalled, startPgbouncer } from '../servers/pgbouncer.js';

if (!pgbouncerInstalled)
  console.warn("NOT RUN: loads through pgbouncer, for Debian's package pgbouncer is not installed");

test.runIf(pgbouncerInstalled).each(['append', 'upsert', 'ignore'] as const)(
  'loads through pgbouncer in transaction mode, more workers than server connections, in mode %s',
  async (mode) => {
    await using db = await scratchDatabase(inject('postgres'));
    await using pooler = await startPgbouncer(db.url);
    await db.client.query('CREATE TABLE t (id int PRIMARY KEY, name varchar(10))');
    const records = Array.from({ length: 20_000 }, (_, id) => ({
      id,
      name: id === 4_321 ? 'much too long' : `n${id}`,
    }));
    const sink = postgres({ url: pooler.url, table: 't', mode, key: ['id'] });
    const report = await load({ source: iterable(records), sink, batchRows: 1_000, workers: 12, verify: 'full' });
    expect(report).toMatchObject({ status: 'complete-with-rejects', read: 20_000, written: 19_999, rejected: 1 });
    expect(report.verify).toMatchObject({ level: 'full', compared: 19_999, missing: 0, different: 0 });
    const { rows } = await db.client.query('SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM t');
    expect(rows).toEqual([{ count: 19_999, ids: 19_999 }]);
  },
);

test.runIf(pgbouncerInstalled)(
  'behind pgbouncer connections are not kept for the next load, and the sessions of the server are as they were',
  async () => {
    await using db = await scratchDatabase(inject('postgres'));
    await using pooler = await startPgbouncer(db.url);
    await db.client.query('CREATE TABLE t (id int PRIMARY KEY)');
    for (let i = 0; i < 2; i++) {
      const sink = postgresKeeping({ url: pooler.url, table: 't', mode: 'upsert' });
      const report = await load({ source: iterable([{ id: 1 }, { id: 2 }]), sink });
      expect(report).toMatchObject({ status: 'complete', written: i === 0 ? 2 : 0 });
    }
    await vi.waitFor(async () => expect(await pooler.clients()).toEqual([]));
    // At once, so that every session of the server is asked.
    const asked = await Promise.all(Array.from({ length: 4 }, () => timeoutThrough(pooler.url)));
    expect(new Set(asked.map(({ pid }) => pid)).size).toBe(4);
    expect(new Set(asked.map(({ timeout }) => timeout))).toEqual(new Set(['0']));
  },
);

async function timeoutThrough(url: string): Promise<{ pid: number; timeout: string }> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(
    `SELECT pg_backend_pid() AS pid, current_setting('idle_session_timeout') AS timeout, pg_sleep(0.5)`,
  );
  await client.end();
  return rows[0];
}
