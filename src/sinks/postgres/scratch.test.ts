import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import { load } from '../../flow/load.js';
import { iterable } from '../../sources/iterable/index.js';
import { postgres, postgresScratch } from './index.js';

const { signal } = new AbortController();
const role = `sluice_scratch_role_${process.pid}`;

describe.each(inject('postgresServers'))('a scratch copy on $name', ({ url: server }) => {
  let db: ScratchDatabase;
  beforeEach(async () => {
    db = await scratchDatabase(server);
  });
  afterEach(() => db[Symbol.asyncDispose]());

  const one = async (sql: string): Promise<Record<string, unknown>> => (await db.client.query(sql)).rows[0];
  const schemas = async () =>
    (await db.client.query(`SELECT nspname FROM pg_namespace WHERE nspname ~ '^sluice'`)).rowCount;

  test('has the columns, defaults, indexes and checks of a table with odd names, and takes rows in its stead', async () => {
    await db.client.query(`CREATE SCHEMA "Odd ""one"; CREATE TYPE "Odd ""one"."Mood" AS ENUM ('good', 'bad')`);
    await db.client.query(`CREATE UNLOGGED TABLE "Odd ""one"."T'x" (
      id bigint PRIMARY KEY, "a b" int CHECK ("a b" > 0), m "Odd ""one"."Mood" DEFAULT 'good',
      doubled int GENERATED ALWAYS AS ("a b" * 2) STORED)`);
    const options = { url: db.url, table: `"Odd ""one"."T'x"`, mode: 'upsert' as const };
    {
      await using scratch = await postgresScratch(options, signal);
      const records = [1, 2, 0].map((n) => ({ id: n, 'a b': n }));
      const report = await load({ source: iterable(records), sink: await scratch.copy('r1'), run: 'r1' });
      expect(report).toMatchObject({ written: 2, rejected: 1, guarantee: 'idempotent' });
      const schema = (await one(`SELECT nspname AS name FROM pg_namespace WHERE nspname ~ '^sluice_scratch'`)).name;
      expect((await db.client.query(`SELECT * FROM ${schema}.copy_1 ORDER BY id`)).rows).toEqual([
        { id: '1', 'a b': 1, m: 'good', doubled: 2 },
        { id: '2', 'a b': 2, m: 'good', doubled: 4 },
      ]);
      expect(await one(`SELECT relpersistence AS p FROM pg_class WHERE oid = '${schema}.copy_1'::regclass`)).toEqual({
        p: 'u',
      });
      // What each batch says to the ledger was said, there.
      expect(await one(`SELECT sum(rows)::int AS settled FROM ${schema}.span WHERE run = 'r1'`)).toEqual({
        settled: 3,
      });
      expect(await scratch.roundTrip(signal)).toBeGreaterThan(0);
    }
    expect(await schemas()).toBe(0);
    expect(await one(`SELECT count(*)::int AS rows FROM "Odd ""one"."T'x"`)).toEqual({ rows: 0 });
  });

  test('is empty each time, for the one before is gone', async () => {
    await db.client.query('CREATE TABLE t (id int PRIMARY KEY)');
    await using scratch = await postgresScratch({ url: db.url, table: 't' }, signal);
    for (const run of ['r1', 'r2']) {
      const report = await load({ source: iterable([{ id: 1 }]), sink: await scratch.copy(run), run });
      expect(report).toMatchObject({ written: 1, rejected: 0 });
    }
    const copies = await db.client.query(`SELECT relname FROM pg_class WHERE relname ~ '^copy_' AND relkind = 'r'`);
    expect(copies.rows).toEqual([{ relname: 'copy_2' }]);
  });

  test('uses up no number of the sequences of the table, be they serial, identity or named in a default', async () => {
    await db.client.query(`CREATE SEQUENCE "Odd 'seq"; CREATE SEQUENCE other`);
    await db.client.query(`CREATE TABLE t (id serial PRIMARY KEY, i int GENERATED ALWAYS AS IDENTITY,
      code text DEFAULT 'c' || nextval('"Odd ''seq"') || '-' || nextval('other'), name text)`);
    const before = (await db.client.query('SELECT sequencename, last_value FROM pg_sequences ORDER BY 1')).rows;
    {
      await using scratch = await postgresScratch({ url: db.url, table: 't' }, signal);
      const records = ['a', 'b'].map((name) => ({ name }));
      await load({ source: iterable(records), sink: await scratch.copy('r1'), run: 'r1' });
      const schema = (await one(`SELECT nspname AS name FROM pg_namespace WHERE nspname ~ '^sluice_scratch'`)).name;
      expect((await db.client.query(`SELECT * FROM ${schema}.copy_1 ORDER BY id`)).rows).toEqual([
        { id: 1, i: 1, code: 'c1-1', name: 'a' },
        { id: 2, i: 2, code: 'c2-2', name: 'b' },
      ]);
    }
    expect((await db.client.query('SELECT sequencename, last_value FROM pg_sequences ORDER BY 1')).rows).toEqual(
      before,
    );
    await load({ source: iterable([{ name: 'c' }]), sink: postgres({ url: db.url, table: 't' }) });
    expect(await one('SELECT id, i, code FROM t')).toEqual({ id: 1, i: 1, code: 'c1-1' });
  });

  test('of a partitioned table is a plain one', async () => {
    await db.client.query('CREATE TABLE t (id int, at date NOT NULL) PARTITION BY RANGE (at)');
    await using scratch = await postgresScratch({ url: db.url, table: 't' }, signal);
    const source = iterable([{ id: 1, at: '2026-01-01' }]);
    expect(await load({ source, sink: await scratch.copy('r1'), run: 'r1' })).toMatchObject({ written: 1 });
  });

  describe('made by a user of few rights', () => {
    let url: string;
    let database: string;
    beforeEach(async () => {
      await db.client.query(
        `CREATE TABLE t (id int); CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT INSERT ON t TO ${role}`,
      );
      database = new URL(db.url).pathname.slice(1);
      const own = new URL(db.url);
      own.username = role;
      own.password = 'secret';
      url = own.href;
    });
    afterEach(async () => {
      await db.client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });

    test('is refused, with the remedy, where the user may not make a schema, or not read the table', async () => {
      const opening = postgresScratch({ url, table: 't' }, signal);
      await expect(opening).rejects.toMatchObject({
        code: 'no-privilege',
        message: expect.stringContaining(`GRANT CREATE ON DATABASE "${database}" TO "${role}"`),
      });
      await db.client.query(`GRANT CREATE ON DATABASE ${database} TO ${role}`);
      {
        await using scratch = await postgresScratch({ url, table: 't' }, signal);
        await expect(scratch.copy('r1')).rejects.toMatchObject({
          code: 'no-privilege',
          message: expect.stringContaining(`GRANT SELECT ON "public"."t" TO "${role}"`),
        });
      }
      expect(await schemas()).toBe(0);
    });

    test('is named when it can not be dropped, with the statement that does it', async () => {
      await db.client.query(`GRANT CREATE ON DATABASE ${database} TO ${role}`);
      const scratch = await postgresScratch({ url, table: 't' }, signal);
      const { name } = await one(`SELECT nspname AS name FROM pg_namespace WHERE nspname ~ '^sluice_scratch'`);
      await db.client.query(`ALTER SCHEMA ${name} OWNER TO CURRENT_USER`);
      await expect(scratch[Symbol.asyncDispose]()).rejects.toMatchObject({
        code: 'scratch-left',
        message: expect.stringContaining(`DROP SCHEMA ${name} CASCADE`),
      });
      await db.client.query(`DROP SCHEMA ${name} CASCADE`);
    });
  });
});
