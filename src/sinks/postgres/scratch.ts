import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { messageOf, SinkError } from '../../errors.js';
import type { Ask } from './ask.js';
import { quoteName, readTable, type TableName } from './catalog.js';
import { ledgerTables } from './ledger-tables.js';
import { quoteIdentifier } from './quote.js';

/** Statements that make or drop are not abandoned half-way: each has so long, and waits so long for a lock. Milliseconds. */
const patience = 30_000;
const lockPatience = 10_000;
/** Questions whose median is the round trip. */
const questions = 9;

/** A schema of its own with copies of one table, and a ledger beside them. */
export class ScratchSchema implements AsyncDisposable {
  /** Needs no quotes. */
  readonly name = `sluice_scratch_${randomBytes(6).toString('hex')}`;
  readonly #ask: Ask;
  readonly #original: TableName;
  #copies = 0;

  constructor(ask: Ask, original: TableName) {
    this.#ask = ask;
    this.#original = original;
  }

  /** @throws SinkError when the role may not make schemas in this database. */
  async open(): Promise<void> {
    await this.#transaction(async (client) => {
      const { rows } = await client.query<{ allowed: boolean; user_name: string; database: string }>(
        `SELECT has_database_privilege(current_database(), 'CREATE') AS allowed, current_user::text AS user_name, current_database()::text AS database`,
      );
      const { allowed, user_name: user, database } = rows[0]!;
      if (!allowed) {
        const grant = `GRANT CREATE ON DATABASE ${quoteIdentifier(database)} TO ${quoteIdentifier(user)}`;
        throw new SinkError(
          'no-privilege',
          `to measure without touching ${quoteName(this.#original)} a scratch schema is made beside it, and user "${user}" may not make one; the database's owner can allow it: ${grant}`,
        );
      }
      // Tried again, for the connection was lost at COMMIT, it may be there.
      await client.query(`DROP SCHEMA IF EXISTS ${this.name} CASCADE`);
      await client.query(`CREATE SCHEMA ${this.name}`);
      await client.query(
        `COMMENT ON SCHEMA ${this.name} IS 'Made by sluice to measure, and dropped at the end: DROP SCHEMA ${this.name} CASCADE'`,
      );
      for (const statement of ledgerTables(this.name)) await client.query(statement);
    });
  }

  /** Drops the copy before, and makes the next; where there is no original, only its name. */
  async copy(run: string): Promise<TableName> {
    const before = { schema: this.name, name: `copy_${this.#copies}` };
    this.#copies += 1;
    const copy = { schema: this.name, name: `copy_${this.#copies}` };
    await this.#transaction(async (client) => {
      for (const old of [before, copy]) await client.query(`DROP TABLE IF EXISTS ${quoteName(old)} CASCADE`);
      await client.query(
        `INSERT INTO ${this.name}.run (run, job, epoch, status, source, sink, columns, fingerprints, holder)
VALUES ($1, '', 1, 'running', '', '', '[]', '{}', '') ON CONFLICT DO NOTHING`,
        [run],
      );
      const original = await readTable(client, this.#original);
      if (original !== undefined) await this.#like(client, original.quotedName, quoteName(copy));
    });
    return copy;
  }

  async roundTrip(signal: AbortSignal): Promise<number> {
    return await this.#ask(signal, async (client) => {
      const times: number[] = [];
      for (let question = 0; question < questions; question++) {
        const start = performance.now();
        await client.query('SELECT 1');
        times.push(performance.now() - start);
      }
      return times.sort((a, b) => a - b)[questions >> 1]!;
    });
  }

  /** Names are looked up in full from here on: those of the search path would come out without their schema. */
  async #like(client: pg.Client, original: string, copy: string): Promise<void> {
    await client.query('SET LOCAL search_path = pg_catalog');
    const { rows } = await client.query<{ unlogged: boolean; readable: boolean; user_name: string }>(
      `SELECT relpersistence = 'u' AS unlogged, has_table_privilege(oid, 'SELECT') AS readable, current_user::text AS user_name
FROM pg_class WHERE oid = $1::regclass`,
      [original],
    );
    const { unlogged, readable, user_name: user } = rows[0]!;
    if (!readable) {
      throw new SinkError(
        'no-privilege',
        `user "${user}" may not read ${original}, and so not make an empty copy of it to measure with; its owner can allow it: GRANT SELECT ON ${original} TO ${quoteIdentifier(user)}`,
      );
    }
    await client.query(`CREATE ${unlogged ? 'UNLOGGED ' : ''}TABLE ${copy} (LIKE ${original} INCLUDING ALL)`);
    await this.#ownSequences(client, copy);
  }

  /** A default such as nextval('orders_id_seq') was copied as it is, and would use up numbers of the original's. */
  async #ownSequences(client: pg.Client, copy: string): Promise<void> {
    for (;;) {
      const { rows } = await client.query<SharedSequence>(sharedSequence, [copy, this.name]);
      const [shared] = rows;
      if (shared === undefined) return;
      if (!shared.replaceable) {
        throw new SinkError(
          'shared-sequence',
          `the default of column ${quoteIdentifier(shared.column)} uses a sequence in a form that could not be copied (${shared.expression}), and to measure would use up its numbers`,
        );
      }
      await client.query(shared.making);
      await client.query(shared.setting);
    }
  }

  async #transaction(work: (client: pg.Client) => Promise<void>): Promise<void> {
    const late = AbortSignal.timeout(patience);
    try {
      await this.#ask(late, async (client) => {
        await client.query(`BEGIN; SET LOCAL lock_timeout = ${lockPatience}`);
        await work(client);
        await client.query('COMMIT');
      });
    } catch (error) {
      if (!late.aborted) throw error;
      throw new SinkError(
        'scratch-timeout',
        `the server did not do within ${patience / 1000} s what it takes to measure beside ${quoteName(this.#original)}: it does not answer, or somebody holds a lock on the table`,
        { cause: error },
      );
    }
  }

  /** @throws SinkError with what is left to be done by hand. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#transaction(async (client) => {
        await client.query(`DROP SCHEMA IF EXISTS ${this.name} CASCADE`);
      });
    } catch (error) {
      throw new SinkError(
        'scratch-left',
        `the scratch schema ${this.name} could not be dropped (${messageOf(error)}): when the server can be reached again, run DROP SCHEMA ${this.name} CASCADE`,
        { cause: error },
      );
    }
  }
}

interface SharedSequence {
  column: string;
  expression: string;
  replaceable: boolean;
  making: string;
  setting: string;
}

/** Of the table $1: a sequence outside of the schema $2 that a default uses; what makes one within, and a default with it. */
const sharedSequence = `
SELECT "column", expression, position(theirs IN expression) > 0 AS replaceable,
  format('CREATE SEQUENCE IF NOT EXISTS %s INCREMENT %s CACHE %s', ours, seqincrement, seqcache) AS making,
  format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', attrelid::regclass, "column",
    replace(expression, theirs, quote_literal(ours) || '::regclass')) AS setting
FROM (
  SELECT a.attrelid, a.attname AS "column", pg_get_expr(d.adbin, d.adrelid) AS expression, s.seqcache, s.seqincrement,
    quote_literal(s.seqrelid::regclass::text) || '::regclass' AS theirs,
    format('%I.%I', $2::text, 'sequence_' || s.seqrelid || '_of_' || a.attrelid) AS ours
  FROM pg_attribute a
  JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
  JOIN pg_sequence s ON s.seqrelid = p.refobjid
  JOIN pg_class c ON c.oid = s.seqrelid
  WHERE a.attrelid = $1::regclass AND c.relnamespace <> to_regnamespace($2)
) used LIMIT 1`;
