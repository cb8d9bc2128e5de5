import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startPostgres } from '../../src/hosts/cli/demo/postgres-server.js';
import type { Random } from './random.js';

/** Milliseconds a fast shutdown may take. */
const patience = 10_000;

/** A server that can be made to crash. */
export interface CrashingServer extends AsyncDisposable {
  readonly url: string;
  /** One statement on a connection of its own; tried until the server answers. */
  query(sql: string, values?: readonly unknown[], database?: string): Promise<Record<string, unknown>[]>;
  /** pg_terminate_backend of one connection of a loader's. False when there is none. */
  terminateBackend(random: Random): Promise<boolean>;
  /** kill -9 of one: the postmaster then ends them all and recovers. */
  killBackend(random: Random): Promise<boolean>;
  /** Fast shutdown and start. */
  restart(): Promise<void>;
  /** kill -9 of the postmaster, and start: what was not in the log is gone. */
  crash(): Promise<void>;
}

export async function startCrashingServer(settings: Readonly<Record<string, string>> = {}): Promise<CrashingServer> {
  // Without fsync the death of a process loses nothing: what it wrote is the kernel's.
  const server = await startPostgres({ fsync: 'off', max_connections: '60', ...settings });
  const query: CrashingServer['query'] = async (sql, values = [], database = 'postgres') => {
    const url = new URL(server.url);
    url.pathname = `/${database}`;
    for (let attempt = 1; ; attempt++) {
      const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: 5_000 });
      client.on('error', () => {});
      try {
        await client.connect();
        return (await client.query(sql, [...values])).rows;
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : '';
        if (attempt === 100 || !(code === '' || code.startsWith('57P') || code.startsWith('ECONN'))) throw error;
        await sleep(100);
      } finally {
        await client.end().catch(() => {});
      }
    }
  };
  const pickBackend = async (random: Random): Promise<number | undefined> => {
    const rows = await query(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice' ORDER BY backend_start",
    );
    const pid = rows[random.int(0, rows.length - 1)]?.pid;
    return typeof pid === 'number' ? pid : undefined;
  };
  /** After a crash its children notice within moments; until the last is gone its memory is in use and no other server starts. */
  const start = async () => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await server.start();
      } catch (error) {
        if (attempt === 100) throw new Error('the server does not start again', { cause: error });
        await sleep(50);
      }
    }
  };
  const postmaster = async () => {
    const file = await readFile(join(server.dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '');
    return Number(file.split('\n')[0]) || undefined;
  };
  /**
   * PostgreSQL 18, told to shut down while it recovers from a crash, was seen to wait for ever, all backends gone. So it is
   * to be up, and is helped if it takes too long.
   */
  const stop = async (ended: () => Promise<void>) => {
    await query('SELECT 1').catch(() => {});
    const pid = await postmaster();
    const help = setTimeout(() => pid !== undefined && kill(pid), patience);
    try {
      await ended();
    } finally {
      clearTimeout(help);
    }
  };
  return {
    url: server.url,
    query,
    async terminateBackend(random) {
      const pid = await pickBackend(random);
      return pid !== undefined && (await query('SELECT pg_terminate_backend($1) AS done', [pid]))[0]?.done === true;
    },
    async killBackend(random) {
      const pid = await pickBackend(random);
      return pid !== undefined && kill(pid);
    },
    async restart() {
      await stop(() => server.stop());
      await start();
    },
    async crash() {
      const pid = await postmaster();
      if (pid === undefined || !kill(pid)) throw new Error('there is no server to crash');
      while (lives(pid)) await sleep(5);
      await start();
    },
    [Symbol.asyncDispose]: () => stop(async () => await server[Symbol.asyncDispose]()),
  };
}

/** False when it is gone already. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
