import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import { csvBatch, decodedBatch } from '../../../test/sinks/postgres/batches.js';
import { lineTo } from '../../../test/sinks/postgres/line.js';
import { smallPool, testContext, writerTo } from '../../../test/sinks/postgres/writing.js';
import { InDoubt, NotWritten } from '../../errors.js';
import { wasCommitted } from './doubt.js';

const columns = ['id', 'note'];
const never = new AbortController().signal;
/** About 8 MB: more than the buffers between client and server hold. */
const large = (last: string) => {
  const note = 'x'.repeat(1000);
  return `${Array.from({ length: 8_000 }, (_, i) => `${i},${note}`).join('\n')}\n${last}\n`;
};
const failure = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error;
};

describe.each(inject('postgresServers'))('$name', ({ url }) => {
  let database: ScratchDatabase;
  let other: pg.Client;
  beforeAll(async () => {
    database = await scratchDatabase(url);
    other = new pg.Client({ connectionString: database.url });
    await other.connect();
  });
  afterAll(async () => {
    await other.end();
    await database[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await database.client.query('DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, note text)');
  });
  const count = async (from = 't') => (await database.client.query(`SELECT count(*)::int AS n FROM ${from}`)).rows[0].n;
  /** Makes a COPY stop at its 1,000th row until `goOn`. */
  const stopInTheMiddle = async () => {
    await other.query('SELECT pg_advisory_lock(42)');
    await database.client.query(`CREATE OR REPLACE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END';
      CREATE TRIGGER stop BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = 1000) EXECUTE FUNCTION wait()`);
  };
  const goOn = () => other.query('SELECT pg_advisory_unlock(42)');
  const stopped = async (): Promise<number> => {
    for (;;) {
      const { rows } = await database.client.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      if (rows.length > 0) return rows[0].pid;
      await sleep(10);
    }
  };

  test('a COPY refused in the middle of megabytes fails at once, with the row, and its connection goes on', async () => {
    await using to = await writerTo(database, 't', 'append');
    await database.client.query("INSERT INTO t VALUES (5, 'there')");
    const error = await failure(to.writer.write(csvBatch(columns, large('9,end')), testContext()));
    expect(error).toMatchObject({ code: '23505', row: 5, refusal: { code: '23505' } });
    expect(await to.writer.write(csvBatch(columns, '10000,a\n'), testContext())).toMatchObject({ written: 1 });
    expect(to.pool.made).toHaveLength(1);
    expect(await count()).toBe(2);
  });

  test('a session terminated in the middle of a COPY fails the batch, and its connection is given back as broken', async () => {
    await using to = await writerTo(database, 't', 'append');
    await stopInTheMiddle();
    const writing = failure(to.writer.write(csvBatch(columns, large('9,end')), testContext()));
    const pid = await stopped();
    await database.client.query('SELECT pg_terminate_backend($1)', [pid]);
    const error = await writing;
    await goOn();
    expect(error).toBeInstanceOf(NotWritten);
    expect(to.pool.broken).toHaveLength(1);
    expect(await to.writer.write(csvBatch(columns, '1,a\n'), testContext())).toMatchObject({ written: 1 });
    expect(await count()).toBe(1);
  });

  test('an abort while a COPY is sent ends it, and the connection goes on', async () => {
    await using to = await writerTo(database, 't', 'append');
    await to.writer.write(csvBatch(columns, '-1,a\n'), testContext());
    await stopInTheMiddle();
    const stop = new AbortController();
    const writing = failure(to.writer.write(csvBatch(columns, large('8001,end')), testContext(stop.signal)));
    await stopped();
    stop.abort();
    await goOn();
    expect(await writing).toMatchObject({ name: 'NotWritten', code: 'aborted' });
    expect(to.pool.broken).toEqual([]);
    expect(await to.writer.write(csvBatch(columns, '1,a\n'), testContext())).toMatchObject({ written: 1 });
    expect(to.pool.made).toHaveLength(1);
    expect(await count()).toBe(2);
  });

  test('an abort that the server does not answer closes the connection within seconds', async () => {
    await using to = await writerTo(database, 't', 'append');
    await stopInTheMiddle();
    const stop = new AbortController();
    const writing = failure(to.writer.write(csvBatch(columns, large('8001,end')), testContext(stop.signal)));
    await stopped();
    stop.abort();
    expect(await writing).toMatchObject({ name: 'NotWritten', code: 'aborted' });
    expect(to.pool.broken).toHaveLength(1);
    await goOn();
    expect(await count()).toBe(0);
  });

  test('a write that is aborted before it starts writes nothing', async () => {
    await using to = await writerTo(database, 't', 'append');
    const error = await failure(to.writer.write(csvBatch(columns, '1,a\n'), testContext(AbortSignal.abort())));
    expect(error).toMatchObject({ name: 'NotWritten', code: 'aborted' });
  });

  test('a fence that fails keeps everything out', async () => {
    await using to = await writerTo(database, 't', 'append');
    const old = { ...testContext(), epoch: 0 };
    const error = await failure(to.writer.write(csvBatch(columns, large('9,end')), old));
    expect(error).toMatchObject({ name: 'NotWritten', code: '22012' });
    expect(error).not.toHaveProperty('row', expect.any(Number));
    expect(await count()).toBe(0);
    expect(to.pool.broken).toEqual([]);
  });

  test.each(['append', 'upsert'] as const)(
    'a settlement that fails takes the rows with it, in mode %s',
    async (mode) => {
      await using to = await writerTo(database, 't', mode, ['id']);
      await database.client.query('DROP TABLE ledger.rejects');
      const error = await failure(to.writer.write(csvBatch(columns, '1,a\n'), testContext()));
      expect(error).toMatchObject({ name: 'NotWritten', code: '42P01' });
      expect([await count(), await count('ledger.spans')]).toEqual([0, 0]);
    },
  );

  test('a constraint checked at COMMIT fails the batch as a whole', async () => {
    await database.client.query('ALTER TABLE t ADD UNIQUE (note) DEFERRABLE INITIALLY DEFERRED');
    await using to = await writerTo(database, 't', 'append');
    const error = await failure(to.writer.write(csvBatch(columns, '1,a\n2,a\n'), testContext()));
    expect(error).toMatchObject({ name: 'NotWritten', code: '23505' });
    expect([await count(), await count('ledger.spans')]).toEqual([0, 0]);
    expect(to.pool.broken).toEqual([]);
  });

  test.each(['append', 'upsert'] as const)(
    'a line cut before COMMIT arrives writes nothing, in mode %s',
    async (mode) => {
      await using line = await lineTo(database.url);
      await using to = await writerTo({ url: line.url, client: database.client }, 't', mode, ['id']);
      line.onSent = (data) => !data.includes('COMMIT\0');
      const error = await failure(to.writer.write(csvBatch(columns, '1,a\n'), testContext()));
      expect(error).toBeInstanceOf(NotWritten);
      expect([await count(), await count('ledger.spans')]).toEqual([0, 0]);
      line.onSent = () => true;
      expect(await to.writer.write(csvBatch(columns, '1,a\n'), testContext())).toMatchObject({ written: 1 });
    },
  );

  test.each(['append', 'upsert'] as const)(
    "a line cut at COMMIT's answer is asked after, and the result stands, in mode %s",
    async (mode) => {
      await database.client.query("INSERT INTO t VALUES (7, 'same')");
      await using line = await lineTo(database.url);
      await using to = await writerTo({ url: line.url, client: database.client }, 't', mode, ['id']);
      let cut = 0;
      line.onAnswer = (data) => cut > 0 || !data.includes('COMMIT\0') || ++cut === 0;
      const rows = mode === 'append' ? '1,a\n2,b\n' : '1,a\n2,b\n7,same\n2,c\n';
      const result = await to.writer.write(csvBatch(columns, rows), testContext());
      expect(cut).toBe(1);
      expect(result).toEqual({
        written: 2,
        unchanged: rows.length > 8 ? 1 : 0,
        duplicate: rows.length > 8 ? 1 : 0,
        rejects: [],
      });
      expect([await count(), await count('ledger.spans')]).toEqual([3, 1]);
    },
  );

  test('a transaction still at work is waited for', async () => {
    await using pool = smallPool(database.url);
    const { rows } = await database.client
      .query('BEGIN; SELECT pg_current_xact_id()::text AS xid')
      .then((results: unknown) => (Array.isArray(results) ? results[1] : results));
    const answer = wasCommitted({ xid: rows[0].xid, settled: undefined }, pool, 10_000, never, undefined);
    await sleep(250);
    await database.client.query('COMMIT');
    expect(await answer).toBe(true);
  });

  test('a transaction of another history, such as before a failover, was not committed', async () => {
    await using pool = smallPool(database.url);
    expect(await wasCommitted({ xid: '4000000000000', settled: undefined }, pool, 10_000, never, undefined)).toBe(
      false,
    );
  });

  test('without a server to ask, the batch is in doubt', async () => {
    await using pool = smallPool('postgres://nobody@127.0.0.1:1/none');
    const lost = new Error('lost');
    expect(await failure(wasCommitted({ xid: '700', settled: undefined }, pool, 300, never, lost))).toBeInstanceOf(
      InDoubt,
    );
  });

  test('a load that is stopped does not wait for a server it can not ask', async () => {
    await using pool = smallPool('postgres://nobody@127.0.0.1:1/none');
    const stop = new AbortController();
    const asked = failure(wasCommitted({ xid: '700', settled: undefined }, pool, 60_000, stop.signal, undefined));
    stop.abort();
    expect(await asked).toBeInstanceOf(InDoubt);
  });

  test('two loaders that bring the same new keys at once both succeed, and the counts add up', async () => {
    await using to = await writerTo(database, 't', 'upsert', ['id']);
    const rows = (note: string) =>
      decodedBatch(
        columns,
        Array.from({ length: 3_000 }, (_, i) => [(i * 7919) % 3_001, note]),
      );
    const results = await Promise.all(
      ['a', 'b', 'c', 'd'].map((note) => to.writer.write(rows(note), testContext()).catch((error: unknown) => error)),
    );
    for (const result of results) expect(result).toMatchObject({ written: 3_000, unchanged: 0, duplicate: 0 });
    expect(await count()).toBe(3_000);
  });
});
