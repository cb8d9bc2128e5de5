import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import { csvBatch } from '../../../test/sinks/postgres/batches.js';
import { lineTo } from '../../../test/sinks/postgres/line.js';
import { testContext, writerTo } from '../../../test/sinks/postgres/writing.js';
import { load } from '../../flow/load.js';
import { iterable } from '../../sources/iterable/index.js';
import { parseAddress } from './address.js';
import { postgres } from './index.js';
import { createPool } from './pool.js';
import { noLedger } from './settle.js';
import { createWriter } from './write.js';

/** What a promise came to, and after how many milliseconds. */
async function timed(promise: Promise<unknown>): Promise<{ outcome: unknown; ms: number }> {
  const start = performance.now();
  const outcome = await promise.catch((error: unknown) => error);
  return { outcome, ms: performance.now() - start };
}

describe.each(inject('postgresServers'))('an abort on $name', ({ url }) => {
  let database: ScratchDatabase;
  let other: pg.Client;
  beforeAll(async () => {
    database = await scratchDatabase(url);
    other = new pg.Client({ connectionString: database.url });
    await other.connect();
    await database.client.query(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END'`);
  });
  afterAll(async () => {
    await other.end();
    await database[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await database.client.query('DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, note text)');
  });
  const count = async () => (await database.client.query('SELECT count(*)::int AS n FROM t')).rows[0].n;
  const waiting = async (): Promise<void> => {
    const query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while ((await database.client.query(query)).rowCount === 0) await sleep(10);
  };

  test.each([
    [
      'COMMIT',
      'CREATE CONSTRAINT TRIGGER w AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()',
    ],
    ['COPY', 'CREATE TRIGGER w BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION wait()'],
  ])('ends a %s the server is at, and its connection goes on', async (_, trigger) => {
    await using to = await writerTo(database, 't', 'append');
    await database.client.query(trigger);
    await using pool = createPool(parseAddress(database.url));
    const writer = createWriter({ pool, target: to.target, ledger: noLedger });
    const pid = async () => {
      const lease = await pool.acquire(testContext().signal);
      const { rows } = await lease.client.query('SELECT pg_backend_pid() AS pid');
      lease.release();
      return rows[0].pid;
    };
    const before = await pid();
    await other.query('SELECT pg_advisory_lock(42)');
    const stop = new AbortController();
    const writing = writer.write(csvBatch(['id', 'note'], '1,a\n'), testContext(stop.signal));
    await waiting();
    stop.abort();
    const { outcome, ms } = await timed(writing);
    await other.query('SELECT pg_advisory_unlock(42)');
    expect(outcome).toMatchObject({ name: 'NotWritten', code: 'aborted' });
    expect(ms).toBeLessThan(2_000);
    expect(await pid()).toBe(before);
    expect(await count()).toBe(0);
  });

  test('at a COMMIT that was done counts what was written', async () => {
    await using line = await lineTo(database.url);
    await using to = await writerTo({ url: line.url, client: database.client }, 't', 'append');
    const stop = new AbortController();
    line.onAnswer = (data) => {
      if (stop.signal.aborted || !data.includes('COMMIT\0')) return true;
      stop.abort();
      return false;
    };
    const result = await to.writer.write(csvBatch(['id', 'note'], '1,a\n'), testContext(stop.signal));
    expect(result).toMatchObject({ written: 1 });
    expect(await count()).toBe(1);
  });

  test('while nothing answers any more says within seconds that the batch is in doubt', async () => {
    await using line = await lineTo(database.url);
    const stop = new AbortController();
    line.onSent = (data) => {
      // The COMMIT itself is passed on; nothing after it is.
      if (data.includes('INSERT INTO sluice.span') && data.includes('COMMIT\0')) {
        setImmediate(() => {
          line.frozen = true;
        });
        setTimeout(() => stop.abort(new Error('enough')), 100);
      }
      return true;
    };
    await database.client.query(
      'CREATE CONSTRAINT TRIGGER w AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()',
    );
    await other.query('SELECT pg_advisory_lock(42)');
    const sink = postgres({ url: line.url, table: 't' });
    const loading = load({ source: iterable([{ id: 1 }]), sink, signal: stop.signal });
    await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
    const { outcome, ms } = await timed(loading);
    await other.query('SELECT pg_advisory_unlock(42)');
    expect(outcome).toMatchObject({ code: 'commit-in-doubt', report: { status: 'interrupted' } });
    expect(ms).toBeLessThan(8_000);
  });
});
