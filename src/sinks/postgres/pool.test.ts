import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { freePort } from '../../hosts/cli/demo/free-port.js';
import { type ScratchServer, startPostgres } from '../../hosts/cli/demo/postgres-server.js';
import { parseAddress } from './address.js';
import { classify, explainConnect } from './errors.js';
import { KeptConnections } from './kept-connections.js';
import { createPool, withClient } from './pool.js';

const never = new AbortController().signal;

async function failure(url: string): Promise<unknown> {
  await using pool = createPool(parseAddress(url));
  return await pool.acquire(never).then(
    () => expect.unreachable('it connected'),
    (error: unknown) => error,
  );
}

describe.each(inject('postgresServers'))('a pool on $name', ({ url }) => {
  test('has the system ask soon whether a silent line is still there', async () => {
    const asked = vi.spyOn(Socket.prototype, 'setKeepAlive');
    await using pool = createPool(parseAddress(url));
    (await pool.acquire(never)).release();
    expect(asked.mock.calls).toContainEqual([true, 10_000]);
    asked.mockRestore();
  });

  test('lends one connection a lease and keeps what comes back', async () => {
    await using pool = createPool(parseAddress(url));
    const [first, second] = await Promise.all([pool.acquire(never), pool.acquire(never)]);
    const pid = async (lease: typeof first) =>
      (await lease.client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;
    const pids = [await pid(first), await pid(second)];
    expect(pids[0]).not.toBe(pids[1]);
    first.release();
    first.release();
    const third = await pool.acquire(never);
    expect(await pid(third)).toBe(pids[0]);
    const fourth = await pool.acquire(never);
    expect(pids).not.toContain(await pid(fourth));
  });

  test.runIf(existsSync('/proc/net/tcp'))(
    'asks whether anybody is there when the server is silent for long',
    async () => {
      await using pool = createPool(parseAddress(url));
      const { stream } = (await pool.acquire(never)).client.connection;
      const port = stream instanceof Socket ? stream.localPort : undefined;
      const suffix = `:${port?.toString(16).toUpperCase().padStart(4, '0')}`;
      const own = (await readFile('/proc/net/tcp', 'utf8'))
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        // Established; the port may linger in a line of an older connection.
        .find((fields) => fields[1]?.endsWith(suffix) && fields[3] === '01');
      // Timer 2 is keepalive's; it counts in hundredths of a second.
      const [timer, left = ''] = own?.[5]?.split(':') ?? [];
      expect(timer).toBe('02');
      expect(Number.parseInt(left, 16)).toBeLessThanOrEqual(1_000);
    },
  );

  test('speaks UTF-8 under the name sluice', async () => {
    await using pool = createPool(parseAddress(url));
    const { client } = await pool.acquire(never);
    const { rows } = await client.query(
      `SELECT current_setting('application_name') AS name, current_setting('client_encoding') AS encoding`,
    );
    expect(rows).toEqual([{ name: 'sluice', encoding: 'UTF8' }]);
  });

  test('drops a connection that is broken, left in a transaction, or ended by the server while idle', async () => {
    await using pool = createPool(parseAddress(url));
    const seen = new Set<unknown>();
    const borrow = async () => {
      const lease = await pool.acquire(never);
      expect(seen.has(lease.client)).toBe(false);
      seen.add(lease.client);
      return lease;
    };
    (await borrow()).release(new Error('broken'));
    const within = await borrow();
    await within.client.query('BEGIN');
    within.release();
    const doomed = await borrow();
    const pid = (await doomed.client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
    const killer = await borrow();
    doomed.release();
    await killer.client.query('SELECT pg_terminate_backend($1)', [pid]);
    await vi.waitFor(() => expect(doomed.lost).toBeInstanceOf(Error));
    await borrow();
  });

  test('knows that a connection is lost before its query fails', async () => {
    await using pool = createPool(parseAddress(url));
    const lease = await pool.acquire(never);
    const hungUp = lease.client.query('SELECT pg_sleep(60)').catch(() => lease.lost);
    lease.client.connection.stream.destroy();
    expect(await hungUp).toBeInstanceOf(Error);
    const lost = await withClient(pool, never, (client) => {
      const query = client.query('SELECT pg_sleep(60)');
      client.connection.stream.destroy();
      return query;
    }).catch((error: unknown) => error);
    expect(lost).toMatchObject({ code: 'connection-lost' });
    expect(classify(lost)).toBe('retry');
  });

  test('hangs up under work whose signal is aborted', async () => {
    await using pool = createPool(parseAddress(url));
    const controller = new AbortController();
    const work = withClient(pool, controller.signal, (client) => client.query('SELECT pg_sleep(60)'));
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await expect(work).rejects.toThrow('enough');
    await expect(pool.acquire(controller.signal)).rejects.toThrow('enough');
  });

  test('closes lent connections too, and lends no more', async () => {
    const pool = createPool(parseAddress(url));
    const lease = await pool.acquire(never);
    const query = lease.client.query('SELECT pg_sleep(60)').catch(() => 'ended');
    await pool[Symbol.asyncDispose]();
    expect(await query).toBe('ended');
    lease.release();
    await expect(pool.acquire(never)).rejects.toMatchObject({ code: 'closed' });
  });

  test('a database that is not there is explained', async () => {
    const address = new URL(url);
    address.pathname = '/no_such_database';
    const error = await failure(address.href);
    expect(classify(error)).toBe('fatal');
    const explained = explainConnect(error, parseAddress(address.href));
    expect(explained).toMatchObject({ name: 'SinkError', code: 'no-such-database' });
    expect(explained.message).toContain('"no_such_database"');
  });
});

describe('passwords', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  /** A server of its own: it asks for passwords, which others may be set not to. */
  let server: ScratchServer;
  const password = 'p@:/\\ x';
  const url = () => Object.assign(new URL(server.url), { username: 'ann', password: encodeURIComponent(password) });

  beforeAll(async () => {
    server = await startPostgres();
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query(`CREATE ROLE ann LOGIN PASSWORD ${pg.escapeLiteral(password)}`);
    await admin.end();
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test('a wrong one is explained and never shown', async () => {
    const { href } = Object.assign(url(), { password: 'hunter2' });
    const error = await failure(href);
    expect(classify(error)).toBe('fatal');
    const explained = explainConnect(error, parseAddress(href));
    expect(explained).toMatchObject({ name: 'SinkError', code: 'wrong-password' });
    expect(explained.message).toContain('ann');
    expect(explained.message).not.toContain('hunter2');
  });

  test('that were changed, or are wrong, get no connection that was kept under another', async () => {
    const kept = new KeptConnections();
    const connect = async (word: string) => {
      const address = parseAddress(Object.assign(url(), { password: encodeURIComponent(word) }).href);
      await using pool = createPool(address, kept);
      const { client, release } = await pool.acquire(never);
      const pid: number = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
      pool.servedBy(client, pid);
      release();
      return pid;
    };
    const first = await connect(password);
    expect(await connect(password)).toBe(first);
    await expect(connect('hunter2')).rejects.toMatchObject({ code: '28P01' });
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    const set = (word: string) => admin.query(`ALTER ROLE ann PASSWORD ${pg.escapeLiteral(word)}`);
    await set('rotated');
    expect(await connect('rotated')).not.toBe(first);
    await set(password);
    await admin.end();
  });

  test('come from the address, or the password file, or are asked for', async () => {
    const connects = async (href: string) => {
      await using pool = createPool(parseAddress(href));
      return (await pool.acquire(never)).lost === undefined;
    };
    expect(await connects(url().href)).toBe(true);
    const directory = await mkdtemp(join(tmpdir(), 'sluice-pgpass-'));
    const file = join(directory, 'pgpass');
    vi.stubEnv('PGPASSWORD', undefined);
    vi.stubEnv('PGPASSFILE', file);
    try {
      const { href, hostname, port } = Object.assign(url(), { password: '' });
      const missing = await failure(href);
      expect(missing).toMatchObject({ name: 'SinkError', code: 'no-password' });
      expect(classify(missing)).toBe('fatal');
      await writeFile(file, `${hostname}:${port}:*:ann:${password.replace(/[\\:]/g, '\\$&')}\n`, { mode: 0o600 });
      expect(await connects(href)).toBe(true);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('a server that cannot be reached', () => {
  test('by a name nobody knows', async () => {
    const url = 'postgres://ann:hunter2@nowhere.invalid/shop';
    const error = await failure(url);
    expect(classify(error)).toBe('retry');
    expect(explainConnect(error, parseAddress(url)).code).toBe('no-such-host');
  });

  test('for nobody listens', async () => {
    const url = `postgres://ann@localhost:${await freePort()}/shop`;
    const error = await failure(url);
    expect(classify(error)).toBe('retry');
    expect(explainConnect(error, parseAddress(url)).code).toBe('connection-refused');
  });

  /** Something that listens but is no PostgreSQL. */
  async function listener(answer: (socket: Socket) => void): Promise<AsyncDisposable & { port: number }> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => {}));
      answer(socket);
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return {
      port,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  test.each(['disable', 'prefer'])('for it never answers, with sslmode=%s', async (sslmode) => {
    await using silent = await listener(() => {});
    const url = `postgres://ann@127.0.0.1:${silent.port}/shop?sslmode=${sslmode}&connect_timeout=1`;
    const error = await failure(url);
    expect(error).toMatchObject({ code: 'connect-timeout' });
    expect(classify(error)).toBe('throttled');
    expect(explainConnect(error, parseAddress(url))).toMatchObject({ name: 'SinkError', code: 'connect-timeout' });
  });

  test.each(['disable', 'prefer'])('for it hangs up, with sslmode=%s', async (sslmode) => {
    await using rude = await listener((socket) => socket.once('data', () => socket.end()));
    const error = await failure(`postgres://ann@127.0.0.1:${rude.port}/shop?sslmode=${sslmode}`);
    expect(error).toMatchObject({ code: 'connection-lost' });
    expect(classify(error)).toBe('retry');
  });

  test('before the signal says stop, or the pool is closed', async () => {
    await using silent = await listener(() => {});
    const pool = createPool(parseAddress(`postgres://ann@127.0.0.1:${silent.port}/shop?sslmode=disable`));
    const controller = new AbortController();
    const stopped = expect(pool.acquire(controller.signal)).rejects.toThrow('enough');
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await stopped;
    const closed = expect(pool.acquire(never)).rejects.toMatchObject({ code: 'closed' });
    setTimeout(() => void pool[Symbol.asyncDispose](), 50);
    await closed;
  });
});
