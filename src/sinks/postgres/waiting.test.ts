import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import { doorTo } from '../../../test/sinks/postgres/door.js';
import { load } from '../../flow/load.js';
import { type ScratchServer, startPostgres } from '../../hosts/cli/demo/postgres-server.js';
import { iterable } from '../../sources/iterable/index.js';
import { postgres, postgresLedger } from './index.js';

const never = new AbortController().signal;

let database: ScratchDatabase;
beforeAll(async () => {
  database = await scratchDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

/** As `url`, with an attempt to connect given up after so many seconds; one is tried for six times as long. */
function within(seconds: number, url: string, sslmode = 'disable'): string {
  return `${url}?connect_timeout=${seconds}&sslmode=${sslmode}`;
}

/** Milliseconds until the server has answered a question; or the error it ended with. */
async function ask(url: string, signal = never): Promise<{ ms: number; error?: unknown }> {
  await using ledger = postgresLedger(url);
  const start = performance.now();
  const error = await ledger.runs(signal).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { ms: performance.now() - start, ...(error !== undefined && { error }) };
}

describe('the first connection', () => {
  test.each(['disable', 'prefer'])('waits for a server that hangs while it resumes (sslmode %s)', async (sslmode) => {
    await using door = await doorTo(database.url);
    door.mood = 'silent';
    setTimeout(() => {
      door.mood = 'open';
    }, 1_500);
    const { ms, error } = await ask(within(1, door.url, sslmode));
    expect(error).toBeUndefined();
    expect(ms).toBeGreaterThan(1_500);
    expect(door.came).toBeGreaterThan(1);
  });

  test.each(['57P03', '57P01', '08006', '53300'])('waits for one that says %s', async (says) => {
    await using door = await doorTo(database.url);
    door.mood = { says };
    setTimeout(() => {
      door.mood = 'open';
    }, 400);
    const { ms, error } = await ask(within(2, door.url));
    expect(error).toBeUndefined();
    expect(ms).toBeGreaterThan(400);
  });

  test.runIf(process.platform === 'linux')('waits for another machine that refuses it for a while', async () => {
    // An address of its own on the loopback interface, which is not what people call this machine by.
    await using door = await doorTo(database.url, '127.0.0.2');
    await door.shut();
    setTimeout(() => void door.reopen(), 500);
    const { ms, error } = await ask(within(2, door.url));
    expect(error).toBeUndefined();
    expect(ms).toBeGreaterThan(500);
  });

  test('is given up when the server stays away, with what was the matter', async () => {
    await using door = await doorTo(database.url);
    door.mood = 'silent';
    const { ms, error } = await ask(within(1, door.url));
    expect(error).toMatchObject({ name: 'SinkError', code: 'connect-timeout' });
    expect(ms).toBeGreaterThan(5_900);
    expect(ms).toBeLessThan(12_000);
  });

  test('is given up at once when the time of whoever waits is over', async () => {
    await using door = await doorTo(database.url);
    door.mood = { says: '57P03' };
    const over = new AbortController();
    setTimeout(() => over.abort(new Error('time is over')), 300);
    const { ms, error } = await ask(within(10, door.url), over.signal);
    expect(error).toBeDefined();
    expect(ms).toBeLessThan(2_000);
  });

  test('does not wait for what time does not mend', async () => {
    const wrong = (change: (url: URL) => void) => {
      const url = new URL(database.url);
      change(url);
      return url.href;
    };
    const cases = {
      'no-such-database': wrong((url) => {
        url.pathname = '/no_such_database';
      }),
      'no-such-host': wrong((url) => {
        url.hostname = 'no-such-host.invalid';
      }),
      // Nothing listens on the discard port of this machine.
      'connection-refused': wrong((url) => {
        url.port = '9';
      }),
    };
    for (const [code, url] of Object.entries(cases)) {
      const { ms, error } = await ask(within(5, url));
      expect(error, code).toMatchObject({ code });
      expect(ms, code).toBeLessThan(5_000);
    }
    await using door = await doorTo(database.url);
    door.mood = { says: '28P01' };
    expect(await ask(within(5, door.url))).toMatchObject({ error: { code: 'wrong-password' } });
    expect(door.came).toBe(1);
  });
});

describe('a server that takes no writes', () => {
  /** A standby, without a primary to follow: a server of its own that stays in recovery. It knows the same database. */
  let standby: ScratchServer;
  let standbyUrl: string;
  beforeAll(async () => {
    standby = await startPostgres({ fsync: 'off' });
    const url = new URL(standby.url);
    url.pathname = new URL(database.url).pathname;
    standbyUrl = url.href;
    const admin = new pg.Client({ connectionString: standby.url });
    await admin.connect();
    await admin.query(`CREATE DATABASE ${url.pathname.slice(1)}`);
    await admin.end();
    const client = new pg.Client({ connectionString: standbyUrl });
    await client.connect();
    await client.query('CREATE TABLE t (id int PRIMARY KEY, note text)');
    await client.end();
    await standby.stop();
    await writeFile(join(standby.dataDirectory, 'standby.signal'), '');
    // Its start is told only once it takes writes.
    standby.start().catch(() => {});
    await vi.waitFor(async () => expect((await ask(within(5, standbyUrl))).error).toBeUndefined(), {
      timeout: 30_000,
      interval: 100,
    });
  });
  afterAll(() => standby[Symbol.asyncDispose]());

  const rows = function* (from: number, to: number) {
    for (let id = from; id <= to; id++) yield { id, note: `row ${id}` };
  };

  test.each([true, false])('is left for the one that does, once the name leads there (ledger: %s)', async (ledger) => {
    await database.client.query('DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, note text)');
    await using door = await doorTo(standbyUrl);
    setTimeout(() => door.leadTo(database.url), 1_000);
    const sink = postgres({ url: door.url, table: 't', mode: 'upsert', ledger });
    const report = await load({ source: iterable(rows(1, 100)), sink });
    expect(report).toMatchObject({ status: 'complete', written: 100 });
    const { rows: found } = await database.client.query('SELECT count(*)::int AS n FROM t');
    expect(found).toEqual([{ n: 100 }]);
  });

  test('met in the middle of a load, after a failover, costs no row and doubles none', async () => {
    await database.client.query('DROP TABLE IF EXISTS t; CREATE TABLE t (id int NOT NULL, note text)');
    await using door = await doorTo(database.url);
    const source = iterable(
      (async function* () {
        for (let hundred = 0; hundred < 30; hundred++) {
          yield* rows(hundred * 100 + 1, hundred * 100 + 100);
          await sleep(100);
          if (hundred === 16) {
            // The name leads to the old reader for a second.
            door.leadTo(standbyUrl);
            door.cut();
            setTimeout(() => door.leadTo(database.url), 1_000);
          }
        }
      })(),
    );
    const report = await load({
      source,
      sink: postgres({ url: door.url, table: 't', mode: 'append' }),
      batchRows: 100,
    });
    expect(report).toMatchObject({ status: 'complete', written: 3_000 });
    expect(report.retries).toBeGreaterThan(0);
    const { rows: found } = await database.client.query(
      'SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM t',
    );
    expect(found).toEqual([{ n: 3_000, ids: 3_000 }]);
  });
});
