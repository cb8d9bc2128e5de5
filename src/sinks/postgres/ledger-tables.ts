import type pg from 'pg';
import { SinkError } from '../../errors.js';
import type { ServerState } from './catalog.js';
import { fenced } from './errors.js';
import { quoteIdentifier } from './quote.js';

/** Raised when the tables change; a ledger of a lower version is brought up, one of a higher version refused. */
const version = 1;

/**
 * Transactions of the ledger's own are short, and hold locks that others wait for: of a holder that is stopped or cut off
 * in the middle of one, the server rids itself.
 */
export const beginShort = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '5s'";

const createSchema = 'CREATE SCHEMA sluice';

/** 128 bits of a split's name, which may be longer than an index entry. Not md5, which servers in FIPS mode lack. */
const splitHash = 'hashtextextended(split, 0), hashtextextended(split, 1)';

/**
 * What makes the tables, in a schema that is there.
 *
 * `json`, not `jsonb`: records and tokens are kept to the letter, and may hold NUL characters and lone surrogates.
 * A run's row is never written by a batch, for batches of one run would wait for one another there.
 */
export function ledgerTables(schema: string): string[] {
  return [
    `CREATE TABLE ${schema}.meta (version int NOT NULL)`,
    `COMMENT ON TABLE ${schema}.meta IS 'Version of these tables, kept by Sluice: what is loaded, and how far'`,
    `CREATE TABLE ${schema}.run (
  run text PRIMARY KEY,
  job text NOT NULL,
  epoch int NOT NULL,
  status text NOT NULL,
  source text NOT NULL,
  sink text NOT NULL,
  columns json NOT NULL,
  fingerprints json NOT NULL,
  holder text NOT NULL,
  held_since timestamptz NOT NULL DEFAULT now(),
  heartbeat timestamptz NOT NULL DEFAULT now(),
  started timestamptz NOT NULL DEFAULT now(),
  finished timestamptz,
  compacted json
)`,
    `COMMENT ON COLUMN ${schema}.run.compacted IS 'Of a complete run: its spans, one a split, in place of the rows of ${schema}.span'`,
    `CREATE INDEX run_of_job ON ${schema}.run (job, started)`,
    `CREATE TABLE ${schema}.span (
  run text NOT NULL,
  split text NOT NULL,
  from_row bigint NOT NULL,
  rows bigint NOT NULL,
  next json NOT NULL
)`,
    `CREATE UNIQUE INDEX span_once ON ${schema}.span (run, ${splitHash}, from_row)`,
    `CREATE TABLE ${schema}.reject (
  run text NOT NULL,
  split text NOT NULL,
  "row" bigint NOT NULL,
  code text NOT NULL,
  "column" text,
  reason text NOT NULL,
  record json,
  csv json
)`,
    `CREATE UNIQUE INDEX reject_once ON ${schema}.reject (run, ${splitHash}, "row")`,
    `CREATE TABLE ${schema}.replayed (
  run text NOT NULL,
  split text NOT NULL,
  "row" bigint NOT NULL,
  by text NOT NULL
)`,
    `CREATE UNIQUE INDEX replayed_once ON ${schema}.replayed (run, ${splitHash}, "row")`,
    `COMMENT ON TABLE ${schema}.replayed IS 'Rejects that a later run has written: no other may. Kept when their run is forgotten'`,
    `CREATE FUNCTION ${schema}.fence(run_id text, run_epoch int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a batch of Sluice must be written in a READ COMMITTED transaction' USING ERRCODE = '${fenced}';
  END IF;
  PERFORM pg_advisory_xact_lock_shared(${schema}.lock_key(run_id));
  PERFORM 1 FROM ${schema}.run WHERE run = run_id AND epoch = run_epoch;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'run % was taken over from epoch %', run_id, run_epoch USING ERRCODE = '${fenced}';
  END IF;
END $$`,
    `CREATE FUNCTION ${schema}.lock_key(run_id text) RETURNS bigint LANGUAGE sql IMMUTABLE
  AS $$ SELECT hashtextextended('sluice run ' || run_id, 0) $$`,
    `INSERT INTO ${schema}.meta VALUES (${version})`,
  ];
}

/** What a role needs there once somebody else has made the tables. */
function grants(user: string): string[] {
  return [
    `GRANT USAGE ON SCHEMA sluice TO ${quoteIdentifier(user)}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sluice TO ${quoteIdentifier(user)}`,
  ];
}

/** Whether the ledger is there, and usable; changes nothing. */
export async function inspectLedger(client: pg.Client, session: ServerState): Promise<'ready' | 'missing'> {
  const { rows } = await client.query<{
    schema: boolean;
    creatable: boolean;
    reachable: boolean;
    tables: boolean;
    usable: boolean;
  }>(`
SELECT n.oid IS NOT NULL AS schema,
  CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
    ELSE has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE') END AS creatable,
  coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS reachable,
  count(c.oid) > 0 AS tables,
  coalesce(bool_and(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')), false) AS usable
FROM (SELECT (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'sluice') AS oid) n
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname IN ('meta', 'run', 'span', 'reject', 'replayed') AND c.relkind = 'r'
GROUP BY n.oid`);
  const found = rows[0]!;
  if (!found.tables) {
    if (!found.creatable)
      throw forbidden(session, [...(found.schema ? [] : [createSchema]), ...ledgerTables('sluice')]);
    return 'missing';
  }
  if (!found.reachable || !found.usable) throw forbidden(session, []);
  const made = (await client.query<{ version: number }>('SELECT version FROM sluice.meta')).rows[0]?.version;
  if (made !== version) {
    throw new SinkError(
      'ledger-version',
      `the tables in schema sluice are of version ${made ?? 'none'}, and this Sluice knows version ${version}: use the Sluice that made them, or a newer one`,
    );
  }
  return 'ready';
}

/** Makes the ledger's tables where they are missing; two who do so at once do it once. */
export async function makeLedger(client: pg.Client, session: ServerState): Promise<void> {
  if ((await inspectLedger(client, session)) === 'ready') return;
  await client.query(beginShort);
  await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('sluice ledger', 0))`);
  if ((await inspectLedger(client, session)) === 'missing') {
    const { rowCount } = await client.query(`SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'sluice'`);
    if (rowCount === 0) await client.query(createSchema);
    for (const statement of ledgerTables('sluice')) await client.query(statement);
  }
  await client.query('COMMIT');
}

function forbidden({ user, database }: ServerState, missing: readonly string[]): SinkError {
  const statements = [...missing, ...grants(user)].map((statement) => `${statement};`).join('\n');
  return new SinkError(
    'ledger-forbidden',
    `Sluice keeps account of what is loaded in the schema sluice of database "${database}", and user "${user}" may not make or use it. Load with --no-ledger (the sink's option ledger: false) and do without exactly once, or let its owner run:\n${statements}`,
  );
}
