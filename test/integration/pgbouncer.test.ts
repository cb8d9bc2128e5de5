import { expect, inject, test } from 'vitest';
import { load } from '../../src/index.js';
import { postgres } from '../../src/sinks/postgres/index.js';
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
