import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { describe, expect, inject, test, vi } from 'vitest';
import { otherProcesses, type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import { keeping } from '../../../test/sinks/postgres/keeping-process.js';
import { lineTo } from '../../../test/sinks/postgres/line.js';
import { type Address, parseAddress } from './address.js';
import { postgresKeeping } from './index.js';
import { KeptConnections } from './kept-connections.js';
import { createPool, type Lease, type Pool } from './pool.js';

const never = new AbortController().signal;

async function pidOf({ client }: Lease): Promise<number> {
  return (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid;
}

/** As many connections at once as asked for. */
async function borrow(pool: Pool, count: number): Promise<{ leases: Lease[]; pids: number[] }> {
  const leases = await Promise.all(Array.from({ length: count }, () => pool.acquire(never)));
  const pids = await Promise.all(leases.map(pidOf));
  return { leases, pids };
}

/** A load's use of a pool, from its making to its end: which processes of the server it had. */
async function use(address: Address, kept: KeptConnections, count = 1): Promise<number[]> {
  await using pool = createPool(address, kept);
  const { leases, pids } = await borrow(pool, count);
  pool.servedBy(leases[0]!.client, pids[0]!);
  for (const lease of leases) lease.release();
  return pids;
}

async function major(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(`SELECT current_setting('server_version_num')::int / 10000 AS major`);
  await client.end();
  return rows[0].major;
}

/** A role that may have so many connections; those that are left are ended with it. */
async function limitedRole({ client, url }: ScratchDatabase, limit: number) {
  const name = `sluice_${randomBytes(6).toString('hex')}`;
  await client.query(`CREATE ROLE ${name} LOGIN PASSWORD 'secret' CONNECTION LIMIT ${limit}`);
  return {
    name,
    url: Object.assign(new URL(url), { username: name, password: 'secret' }).href,
    async [Symbol.asyncDispose]() {
      await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`, [name]);
      await client.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    },
  };
}

/** As a pooler does, which has numbers of its own: BackendKeyData (length 12) begins with the process. */
function tellAnotherProcess(data: Buffer): boolean {
  const key = data.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]));
  if (key >= 0) data.writeInt32BE(data.readInt32BE(key + 5) ^ 0x1000000, key + 5);
  return true;
}

const sorted = (pids: readonly number[]) => [...pids].sort((a, b) => a - b);

for (const { name, url } of inject('postgresServers')) {
  const tooOld = (await major(url)) < 14;

  test.runIf(tooOld)(`on ${name}, which has no such timeout, connections are closed`, async () => {
    await using db = await scratchDatabase(url);
    const kept = new KeptConnections();
    await use(parseAddress(db.url), kept, 3);
    expect(kept.count(parseAddress(db.url))).toBe(0);
    await vi.waitFor(async () => expect(await otherProcesses(db.client)).toEqual([]));
  });

  describe.runIf(!tooOld)(`connections kept on ${name}`, () => {
    test('are those of the next pool, which makes more where it needs more', async () => {
      await using db = await scratchDatabase(url);
      const address = parseAddress(db.url);
      const kept = new KeptConnections();
      const first = await use(address, kept, 3);
      expect(kept.count(address)).toBe(3);
      await using pool = createPool(address, kept);
      expect(pool.spare).toBe(3);
      const { leases, pids } = await borrow(pool, 4);
      expect(sorted(pids.filter((pid) => first.includes(pid)))).toEqual(sorted(first));
      expect(pool.spare).toBe(0);
      leases[0]!.release();
      expect(pool.spare).toBe(1);
    });

    test('are for the same address only: another password, user, option or way of logging in is another', async () => {
      await using db = await scratchDatabase(url);
      const address = parseAddress(db.url);
      const kept = new KeptConnections();
      const [pid] = await use(address, kept);
      for (const other of [
        { password: 'rotated' },
        { user: 'somebody' },
        { database: 'elsewhere' },
        { host: 'elsewhere' },
        { port: 1 },
        { options: '-c work_mem=1MB' },
        { iam: true },
        { sslmode: 'verify-full' },
        { applicationName: 'other' },
      ] as const) {
        expect(kept.count({ ...address, ...other }), JSON.stringify(other)).toBe(0);
        const owner = { onLost() {}, onReadOnly() {} };
        expect(await kept.take({ ...address, ...other }, owner, never)).toBeUndefined();
      }
      expect(await use({ ...address, connectTimeout: 1_234 }, kept)).toEqual([pid]);
    });

    test('are ended by the server when nobody takes them, and nobody is troubled by it', async () => {
      await using db = await scratchDatabase(url);
      const address = parseAddress(db.url);
      const kept = new KeptConnections({ idle: 300 });
      const first = await use(address, kept, 2);
      expect(await otherProcesses(db.client)).toEqual(sorted(first));
      await vi.waitFor(async () => expect(await otherProcesses(db.client)).toEqual([]));
      await vi.waitFor(() => expect(kept.count(address)).toBe(0));
      const [pid] = await use(address, kept);
      expect(first).not.toContain(pid);
    });

    test('have the timeout of their session again once they are taken', async () => {
      await using db = await scratchDatabase(url);
      const kept = new KeptConnections({ idle: 300 });
      const timeout = async ({ client }: Lease) =>
        (await client.query<{ idle_session_timeout: string }>('SHOW idle_session_timeout')).rows[0]
          ?.idle_session_timeout;
      const address = parseAddress(db.url);
      const [pid] = await use(address, kept);
      await using pool = createPool(address, kept);
      const lease = await pool.acquire(never);
      expect(await timeout(lease)).toBe('0');
      lease.release();
      await sleep(600);
      expect(await pidOf(await pool.acquire(never))).toBe(pid);
      const own = { ...address, options: '-c idle_session_timeout=9s' };
      await use(own, kept);
      await using other = createPool(own, kept);
      expect(other.spare).toBe(1);
      expect(await timeout(await other.acquire(never))).toBe('9s');
    });

    test('keep a shorter timeout of their session', async () => {
      await using db = await scratchDatabase(url);
      const address = { ...parseAddress(db.url), options: '-c idle_session_timeout=300' };
      await use(address, new KeptConnections());
      await vi.waitFor(async () => expect(await otherProcesses(db.client)).toEqual([]));
    });

    test('are too old after a time of the wall clock, or when it was set back', async () => {
      await using db = await scratchDatabase(url);
      const address = parseAddress(db.url);
      let now = 1_000_000;
      const kept = new KeptConnections({ now: () => now });
      const [first] = await use(address, kept);
      now += 49_999;
      expect(await use(address, kept)).toEqual([first]);
      now += 50_000;
      expect(kept.count(address)).toBe(0);
      const [second] = await use(address, kept);
      expect(second).not.toBe(first);
      now -= 1;
      const [third] = await use(address, kept);
      expect(third).not.toBe(second);
      await vi.waitFor(async () => expect(await otherProcesses(db.client)).toEqual([third]));
    });

    test('are closed a while after they were made, however often they are used', async () => {
      await using db = await scratchDatabase(url);
      const address = parseAddress(db.url);
      let now = Date.now();
      const kept = new KeptConnections({ now: () => now, lifetime: 120_000 });
      const [first] = await use(address, kept);
      for (let i = 0; i < 2; i++) {
        now += 45_000;
        expect(await use(address, kept)).toEqual([first]);
      }
      now += 45_000;
      expect(kept.count(address)).toBe(0);
      const [second] = await use(address, kept);
      expect(second).not.toBe(first);
      // This one, too, is by that clock older already, so it is not put away.
      await vi.waitFor(async () => expect(await otherProcesses(db.client)).toEqual([]));
    });

    test('that are dead without a sign are noticed and replaced within a second, however many', async () => {
      await using db = await scratchDatabase(url);
      await using line = await lineTo(db.url);
      const address = parseAddress(line.url);
      const kept = new KeptConnections();
      const first = await use(address, kept, 4);
      expect(kept.count(address)).toBe(4);
      line.freezeOpen();
      await using pool = createPool(address, kept);
      const since = performance.now();
      const lease = await pool.acquire(never);
      expect(performance.now() - since).toBeLessThan(1_000);
      expect(first).not.toContain(await pidOf(lease));
      expect(kept.count(address)).toBe(0);
    });

    test('that are dead hinder nobody who does not want to wait', async () => {
      await using db = await scratchDatabase(url);
      await using line = await lineTo(db.url);
      const kept = new KeptConnections({ patience: 20_000 });
      await use(parseAddress(line.url), kept);
      line.freezeOpen();
      await using pool = createPool(parseAddress(line.url), kept);
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error('enough')), 50);
      await expect(pool.acquire(controller.signal)).rejects.toThrow('enough');
    });

    test('that the server has ended, or will not go on with, are replaced', async () => {
      await using db = await scratchDatabase(url);
      await using line = await lineTo(db.url);
      const address = parseAddress(line.url);
      const kept = new KeptConnections();
      const first = await use(address, kept, 3);
      await db.client.query('SELECT pg_terminate_backend($1)', [first[0]]);
      await vi.waitFor(() => expect(kept.count(address)).toBe(2));
      // The first to be asked is cut off at that moment.
      let cuts = 1;
      line.onSent = (data) => !data.includes('RESET') || cuts-- <= 0;
      await using pool = createPool(address, kept);
      const left = first.slice(1);
      const { pids } = await borrow(pool, 1);
      expect(left).toContain(pids[0]);
      expect(kept.count(address)).toBe(0);
    });

    test('were given back, and are in no transaction, not cancelled, not known to take no writes', async () => {
      await using db = await scratchDatabase(url);
      const address = parseAddress(db.url);
      const kept = new KeptConnections();
      const pool = createPool(address, kept);
      const { leases, pids } = await borrow(pool, 4);
      const [clean, within, cancelled, lent] = leases;
      pool.servedBy(clean!.client, pids[0]!);
      await within!.client.query('BEGIN');
      const asleep = cancelled!.client.query('SELECT pg_sleep(60)').catch((error: unknown) => error);
      await vi.waitFor(async () => {
        await cancelled!.cancel();
        expect(await Promise.race([asleep, sleep(20)])).toMatchObject({ code: '57014' });
      });
      for (const lease of [clean, within, cancelled]) lease!.release();
      await pool[Symbol.asyncDispose]();
      lent!.release();
      expect(kept.count(address)).toBe(1);
      await vi.waitFor(async () => expect(await otherProcesses(db.client)).toEqual([pids[0]]));
      await using next = createPool(address, kept);
      const { leases: again, pids: same } = await borrow(next, 2);
      expect(same).toContain(pids[0]);
      next.servedBy(again[0]!.client, same[0]!);
      await again[0]!.client.query('SET default_transaction_read_only = on');
      await expect(again[0]!.client.query('CREATE TABLE t ()')).rejects.toMatchObject({ code: '25006' });
      for (const lease of again) lease.release();
      await next[Symbol.asyncDispose]();
      expect(kept.count(address)).toBe(0);
    });

    test('lead to the server itself: behind a pooler they are closed, and no setting is sent there', async () => {
      await using db = await scratchDatabase(url);
      await using line = await lineTo(db.url);
      const address = parseAddress(line.url);
      let sent = '';
      line.onSent = (data) => {
        sent += data.toString('latin1');
        return true;
      };
      line.onAnswer = tellAnotherProcess;
      const kept = new KeptConnections();
      await use(address, kept, 3);
      expect(kept.count(address)).toBe(0);
      expect(sent).toContain('pg_backend_pid');
      expect(sent).not.toMatch(/set_config|idle_session_timeout/);
      await vi.waitFor(async () => expect(await otherProcesses(db.client)).toEqual([]));
    });

    test('of which the server says another process, though one was the right one, are closed and left as they were', async () => {
      await using db = await scratchDatabase(url);
      await using line = await lineTo(db.url);
      const address = parseAddress(line.url);
      const kept = new KeptConnections();
      await using pool = createPool(address, kept);
      const first = await pool.acquire(never);
      pool.servedBy(first.client, await pidOf(first));
      line.onAnswer = tellAnotherProcess;
      const second = await pool.acquire(never);
      first.release();
      second.release();
      await pool[Symbol.asyncDispose]();
      expect(kept.count(address)).toBe(1);
    });

    test('are all let go of when the server has no room', async () => {
      await using db = await scratchDatabase(url);
      await using role = await limitedRole(db, 2);
      const address = parseAddress(role.url);
      const kept = new KeptConnections();
      await use(address, kept, 2);
      // Of an address that has nothing to take up.
      await using other = createPool({ ...address, applicationName: 'other' }, kept);
      await expect(other.acquire(never)).rejects.toMatchObject({ code: '53300' });
      expect(kept.count(address)).toBe(0);
      await vi.waitFor(async () => (await other.acquire(never)).release());
    });

    test('are counted as free, for they are our own', async () => {
      await using db = await scratchDatabase(url);
      await using role = await limitedRole(db, 3);
      await db.client.query(`CREATE TABLE t (id int); GRANT INSERT ON t TO ${role.name}`);
      const free = async () => {
        await using sink = postgresKeeping({ url: role.url, table: 't', ledger: false });
        const intake = { columns: ['id'], sample: [['1']], textual: true, ignoreExtra: false };
        const log = { debug() {}, info() {}, warn() {} };
        return (await sink.plan(intake, { run: 'r', job: 'j', epoch: 1, signal: never, log })).free;
      };
      expect(await free()).toBe(3);
      expect(await otherProcesses(db.client)).toHaveLength(1);
      expect(await free()).toBe(3);
    });
  });
}

test('a process ends while it keeps connections, and does not when it has taken one', async () => {
  await using db = await scratchDatabase();
  expect(await keeping(db.url)).toEqual({ same: true, kept: 1 });
});
