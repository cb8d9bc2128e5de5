import pg from 'pg';
import type { Context } from '../../../src/contract/index.js';
import { stringifyJson } from '../../../src/formats/json.js';
import { parseTableName, readServerState, readTable } from '../../../src/sinks/postgres/catalog.js';
import type { Lease, Pool } from '../../../src/sinks/postgres/pool.js';
import type { LedgerStatements } from '../../../src/sinks/postgres/settle.js';
import type { Mode, Target } from '../../../src/sinks/postgres/target.js';
import { createWriter, type Writer } from '../../../src/sinks/postgres/write.js';

/** A pool as small as one can be: it keeps idle connections, closes broken ones, and can't cancel. */
export function smallPool(url: string): Pool & { readonly broken: Error[]; readonly made: pg.Client[] } {
  const idle: { client: pg.Client; lost: Error | undefined }[] = [];
  const made: pg.Client[] = [];
  const broken: Error[] = [];
  return {
    broken,
    made,
    spare: 0,
    servedBy: () => {},
    async acquire(signal): Promise<Lease> {
      signal.throwIfAborted();
      let held = idle.pop();
      while (held?.lost !== undefined) held = idle.pop();
      if (held === undefined) {
        const fresh: { client: pg.Client; lost: Error | undefined } = {
          client: new pg.Client({ connectionString: url }),
          lost: undefined,
        };
        fresh.client.on('error', (error) => {
          fresh.lost ??= error;
        });
        fresh.client.on('end', () => {
          fresh.lost ??= new Error('ended');
        });
        await fresh.client.connect();
        made.push(fresh.client);
        held = fresh;
      }
      const taken = held;
      return {
        client: taken.client,
        get lost() {
          return taken.lost;
        },
        cancel: async () => {},
        hangUp: () => taken.client.connection.stream.destroy(),
        release(error) {
          if (error === undefined) {
            idle.push(taken);
            return;
          }
          broken.push(error);
          taken.client.connection.stream.destroy();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(idle.map(({ client }) => client.end()));
    },
  };
}

/** A ledger of three small tables. */
async function smallLedger(client: pg.Client): Promise<LedgerStatements> {
  await client.query(`CREATE SCHEMA IF NOT EXISTS ledger;
    CREATE TABLE ledger.epochs (job text, epoch int);
    CREATE TABLE ledger.spans (split text, from_row int, rows int);
    CREATE TABLE ledger.rejects (split text, row int, code text, reason text, "column" text, record bytea);
    INSERT INTO ledger.epochs VALUES ('job', 1)`);
  return {
    fence: ({ job, epoch }) => [
      { text: 'SELECT pg_advisory_xact_lock_shared(hashtext($1))', values: [job] },
      { text: 'SELECT 1 / count(*) FROM ledger.epochs WHERE job = $1 AND epoch = $2', values: [job, epoch] },
    ],
    replayed: () => [],
    settle: (spans, rejects) => [
      {
        text: `WITH s AS (
          INSERT INTO ledger.spans SELECT split, "from", rows
          FROM jsonb_to_recordset($1) AS x(split text, "from" int, rows int))
        INSERT INTO ledger.rejects SELECT split, row, code, reason, "column", decode(record, 'hex')
        FROM jsonb_to_recordset($2) AS x(split text, row int, code text, reason text, "column" text, record text)`,
        values: [
          JSON.stringify(spans),
          JSON.stringify(
            rejects.map((reject) => ({
              ...reject,
              // Text of the database can't hold what a record may: a NUL, half of a surrogate pair.
              record: Buffer.from(stringifyJson(reject.record) ?? '').toString('hex'),
            })),
          ),
        ],
      },
    ],
    settled: ([span]) =>
      span && {
        text: 'SELECT FROM ledger.spans WHERE split = $1 AND from_row = $2 AND rows = $3',
        values: [span.split, span.from, span.rows],
      },
  };
}

/** What a writer needs to know of a table. `table` is quoted as SQL has it. */
async function targetOf(client: pg.Client, table: string, mode: Mode, key: readonly string[] = []): Promise<Target> {
  const { serverVersion } = await readServerState(client);
  const found = await readTable(client, parseTableName(table));
  if (found === undefined) throw new Error(`there is no table ${table}`);
  const columns = found.columns.filter(({ generated }) => !generated);
  const plain = found.plainKeys.some((columns) => columns.join() === key.join());
  const mergeable = serverVersion >= 150_000 && !found.meddled && plain;
  return { quotedName: found.quotedName, mode, columns, key, serverVersion, mergeable };
}

export function testContext(signal: AbortSignal = new AbortController().signal): Context {
  const say = () => {};
  return { run: 'run', job: 'job', epoch: 1, signal, log: { debug: say, info: say, warn: say } };
}

/** A writer to one table, with a pool and a ledger of its own. `mergeable: false` stands for a server without MERGE. */
export async function writerTo(
  database: { readonly url: string; readonly client: pg.Client },
  table: string,
  mode: Mode,
  key: readonly string[] = [],
  { mergeable = true } = {},
): Promise<{ writer: Writer; pool: ReturnType<typeof smallPool>; target: Target } & AsyncDisposable> {
  const exists = await database.client.query("SELECT to_regclass('ledger.spans') AS found");
  if (exists.rows[0].found !== null) await database.client.query('DROP SCHEMA ledger CASCADE');
  const ledger = await smallLedger(database.client);
  const found = await targetOf(database.client, table, mode, key);
  const target = { ...found, mergeable: found.mergeable && mergeable };
  const pool = smallPool(database.url);
  return {
    writer: createWriter({ pool, target, ledger }),
    pool,
    target,
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}
