import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { SinkError } from '../../../errors.js';

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
  const named = ['PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGSERVICE'].some(
    (name) => environment[name],
  );
  return named ? 'postgres://' : undefined;
}

/** Makes the schema. @throws SinkError when the server can't be reached, or does not let us. */
export async function makeScratch(url: string, from: string): Promise<Scratch> {
  const client = new pg.Client(url === 'postgres://' ? {} : { connectionString: url });
  const schema = `sluice_demo_${randomBytes(4).toString('hex')}`;
  let description: string;
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string }>("SELECT current_setting('server_version') AS version");
    description = `${rows[0]!.version} at ${client.host}:${client.port}, database ${client.database} (${from})`;
    await client.query(`CREATE SCHEMA ${schema}`);
  } catch (cause) {
    await client.end().catch(() => {});
    throw new SinkError(
      'no-scratch-schema',
      `The demo can't make its schema at ${client.host}:${client.port} (${from}). It needs a server that is up and a user ` +
        'who may create schemas; without DATABASE_URL and PGHOST the demo starts a server of its own.',
      { cause },
    );
  }
  // A server that goes away is noticed by the next query; without a listener it would end the process.
  client.on('error', () => {});
  return {
    url,
    schema,
    description,
    client,
    async [Symbol.asyncDispose]() {
      try {
        await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
      } finally {
        await client.end();
      }
    },
  };
}
