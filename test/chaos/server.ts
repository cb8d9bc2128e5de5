import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startPostgres } from '../../src/hosts/cli/demo/postgres-server.js';

/** A server that can be made to crash. */
export interface CrashingServer extends AsyncDisposable {
  readonly url: string;
  /** One statement on a connection of its own; tried until the server answers. */
  query(sql: string, values?: readonly unknown[], database?: string): Promise<Record<string, unknown>[]>;
  /** Fast shutdown and start. */
  restart(): Promise<void>;
  /** kill -9 of the postmaster, and start: what was not in the log is gone. */
  crash(): Promise<void>;
}

export async function startCrashingServer(): Promise<CrashingServer> {
  // Without fsync the death of a process loses nothing: what it wrote is the kernel's.
  const server = await startPostgres({ fsync: 'off', max_connections: '60' });
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
  return {
    url: server.url,
    query,
    async restart() {
      await server.stop();
      await server.start();
    },
    async crash() {
      const pid = Number((await readFile(join(server.dataDirectory, 'postmaster.pid'), 'utf8')).split('\n')[0]);
      process.kill(pid, 'SIGKILL');
      while (lives(pid)) await sleep(5);
      // Its children notice within moments; until the last is gone its memory is in use and no other server starts.
      for (let attempt = 1; ; attempt++) {
        try {
          return await server.start();
        } catch (error) {
          if (attempt === 100) throw new Error('the server does not start again after a crash', { cause: error });
          await sleep(50);
        }
      }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
