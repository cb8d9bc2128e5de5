import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** A database of its own on a test server, dropped when disposed, with a client to look into it. */
export interface ScratchDatabase extends AsyncDisposable {
  readonly url: string;
  readonly client: pg.Client;
}

/** Processes of the server that serve the client's database, but for its own. */
export async function otherProcesses(client: pg.Client): Promise<number[]> {
  const { rows } = await client.query<{ pid: number }>(
    'SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid',
  );
  return rows.map(({ pid }) => pid);
}

/** On the server most tests use, unless another's URL is given. */
export async function scratchDatabase(server: string = inject('postgres')): Promise<ScratchDatabase> {
  const name = `sluice_test_${randomBytes(6).toString('hex')}`;
  const admin = new pg.Client({ connectionString: server });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  return {
    url: url.href,
    client,
    async [Symbol.asyncDispose]() {
      await client.end();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}
