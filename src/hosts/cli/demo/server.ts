import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { SinkError } from '../../../errors.js';
import { describeServer, parseAddress } from '../../../sinks/postgres/address.js';
import { explainConnect } from '../../../sinks/postgres/errors.js';
import { createPool, type Lease } from '../../../sinks/postgres/pool.js';

/** Where the demo loads to: an empty schema of its own on some server. Disposing it drops the schema. */
export interface Scratch extends AsyncDisposable {
  /** As a job file has it. */
  readonly url: string;
  readonly schema: string;
  /** Server version and where it is, for people. */
  readonly description: string;
  readonly client: pg.Client;
}

/** The server the environment names, as psql would take it; undefined when it names none. */
export function givenServer(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  if (environment.DATABASE_URL) return environment.DATABASE_URL;
  const names = ['PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER'];
  return names.some((name) => environment[name]) ? 'postgres://' : undefined;
}

/** Makes the schema. @throws SinkError when the server can't be reached, or does not let us. */
export async function makeScratch(url: string, signal: AbortSignal): Promise<Scratch> {
  const address = parseAddress(url);
  const pool = createPool(address);
  const schema = `sluice_demo_${randomBytes(4).toString('hex')}`;
  let lease: Lease;
  try {
    lease = await pool.acquire(signal);
  } catch (error) {
    await pool[Symbol.asyncDispose]();
    throw signal.aborted ? error : explainConnect(error, address);
  }
  const { client } = lease;
  try {
    const { rows } = await client.query<{ version: string }>("SELECT current_setting('server_version') AS version");
    await client.query(`CREATE SCHEMA ${schema}`);
    return {
      url,
      schema,
      description: `${rows[0]!.version}, ${describeServer(address)}`,
      client,
      async [Symbol.asyncDispose]() {
        try {
          await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
        } finally {
          lease.release();
          await pool[Symbol.asyncDispose]();
        }
      },
    };
  } catch (cause) {
    lease.release();
    await pool[Symbol.asyncDispose]();
    const where = describeServer(address);
    const remedy = 'Give its user the right to create schemas there, or name another server by DATABASE_URL.';
    throw new SinkError('no-scratch-schema', `The demo can't make a schema of its own at ${where}. ${remedy}`, {
      cause,
    });
  }
}
