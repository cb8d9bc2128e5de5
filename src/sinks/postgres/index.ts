import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { z } from 'zod';
import type { Batch, Context, Intake, Ledger, Sink, SinkPlan, SinkTraits, WriteResult } from '../../contract/index.js';
import { ConfigError, SluiceError } from '../../errors.js';
import { type Address, describeServer, parseAddress } from './address.js';
import { parseTableName, quoteName, readServerState, readTable, type ServerState, type TableName } from './catalog.js';
import { createMissing, planCreation, rehearse } from './create.js';
import { classify, explainConnect, explainRefusal } from './errors.js';
import { PostgresLedger } from './ledger.js';
import { inspectLedger } from './ledger-tables.js';
import { type Match, match, missingTable, type Wish } from './match.js';
import { type PostgresOptions, postgresOptions } from './options.js';
import { createPool, type Pool, withClient } from './pool.js';
import { ledgerStatements, noLedger } from './settle.js';
import { describeWrite } from './statements.js';
import { createWriter, type Writer } from './write.js';

export { type PostgresOptions, postgresOptions } from './options.js';

/** Rows a batch may have, so that the arrays of the ledger and the server's staging stay small. */
const maxBatchRows = 50_000;
/** Each batch in flight holds its bytes, and again what is encoded of them. */
const maxBatchBytes = 4 * 1024 * 1024;
/** What surrounds the writing is tried this often when the connection is lost, with pauses that grow by this, in ms. */
const tries = 6;
const pause = 150;

/**
 * A table of a PostgreSQL server, 13 to 18, as a sink: exactly once, in every mode, also behind a pooler in transaction
 * mode. See the README beside this file.
 * @throws ConfigError when an option, the address or the table's name is not valid. Nothing is connected yet.
 */
export function postgres(options: PostgresOptions): Sink {
  const parsed = postgresOptions.safeParse(options);
  if (!parsed.success) throw new ConfigError('bad-option', `sink postgres: ${z.prettifyError(parsed.error)}`);
  const { url, table, mode, key, create, ledger } = parsed.data;
  return new PostgresSink(parseAddress(url), parseTableName(table), { mode, key, create, ledger });
}

type Wishes = Wish & { readonly create: boolean; readonly ledger: boolean };

/** What `plan` found, for `open`. */
interface Found {
  readonly session: ServerState;
  readonly intake: Intake;
  /** What makes the table, where it has to be made. */
  readonly creation: string | undefined;
}

class PostgresSink implements Sink {
  readonly name = 'postgres';
  readonly identity: string;
  readonly traits: SinkTraits;
  readonly ledger?: Ledger;
  readonly classify = classify;
  readonly #address: Address;
  readonly #table: TableName;
  readonly #wish: Wishes;
  readonly #pool: Pool;
  #key: readonly string[];
  #found: Found | undefined;
  #writer: Writer | undefined;

  constructor(address: Address, table: TableName, wish: Wishes) {
    const { mode, key } = wish;
    this.identity = [describeServer(address), quoteName(table), mode, ...(key.length > 0 ? [key.join(',')] : [])].join(
      ' ',
    );
    this.#address = address;
    this.#table = table;
    this.#wish = wish;
    this.#key = key;
    this.#pool = createPool(address);
    const guarantee = wish.ledger ? 'exactly once' : wish.mode === 'append' ? 'at least once' : 'idempotent';
    this.traits = { maxBatchRows, maxBatchBytes, guarantee, rewrites: wish.mode !== 'append' };
    if (wish.ledger) this.ledger = new PostgresLedger((signal, work) => this.#ask(signal, work));
  }

  /** As given, or after `plan` the primary key where the mode needs a key and none was given. */
  get key(): readonly string[] | undefined {
    return this.#key.length > 0 ? this.#key : undefined;
  }

  async plan(intake: Intake, context: Context): Promise<SinkPlan> {
    await this.#connect(context.signal);
    return await this.#ask(context.signal, async (client) => {
      const session = await readServerState(client);
      const ready = !this.#wish.ledger || (await inspectLedger(client, session)) === 'ready';
      const notes = ready ? [] : ['the schema sluice will be made: it keeps account of what is loaded'];
      let creation: string | undefined;
      let matched = await this.#match(client, intake, session);
      if (matched === undefined) {
        if (!this.#wish.create) throw await missingTable(client, this.#table, session);
        creation = await planCreation(client, this.#table, intake, this.#wish, session);
        matched = await rehearse(client, creation, () => this.#match(client, intake, session));
      }
      if (matched === undefined) throw await missingTable(client, this.#table, session);
      const { target } = matched;
      this.#key = target.key;
      this.#found = { session, intake, creation };
      return {
        columns: target.columns.map((column) => column.name),
        free: session.free,
        statements: [...(creation === undefined ? [] : [creation]), ...describeWrite(target, intake.textual)],
        notes: [...matched.notes, ...notes],
      };
    });
  }

  async open(context: Context): Promise<void> {
    const found = this.#found;
    if (found === undefined) throw new SluiceError('not-planned', 'plan comes before open');
    const { session, intake, creation } = found;
    await this.#ask(context.signal, async (client) => {
      if (creation !== undefined) await createMissing(client, creation);
      // Matched again: what is there now counts, whoever made it.
      const matched = await this.#match(client, intake, session);
      if (matched === undefined) throw await missingTable(client, this.#table, session);
      const { target } = matched;
      this.#key = target.key;
      this.#writer = createWriter({
        pool: this.#pool,
        target,
        ledger: this.#wish.ledger ? ledgerStatements : noLedger,
      });
    });
  }

  async write(batch: Batch, context: Context): Promise<WriteResult> {
    if (this.#writer === undefined) throw new SluiceError('not-open', 'open comes before write');
    return await this.#writer.write(batch, context);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  /** Undefined when there is no table. */
  async #match(client: pg.Client, intake: Intake, session: ServerState): Promise<Match | undefined> {
    const table = await readTable(client, this.#table);
    return table && match(intake, table, this.#wish, session);
  }

  /** The first connection: what hinders it is told in full. */
  async #connect(signal: AbortSignal): Promise<void> {
    try {
      (await this.#pool.acquire(signal)).release();
    } catch (error) {
      throw signal.aborted ? error : explainConnect(error, this.#address);
    }
  }

  /** Runs `work`, which may be run again from its start when the connection is lost under it. */
  async #ask<Result>(signal: AbortSignal, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await withClient(this.#pool, signal, work);
      } catch (error) {
        if (signal.aborted) throw error;
        if (attempt === tries || classify(error) !== 'retry') {
          throw error instanceof SluiceError && error.code !== 'connection-lost'
            ? error
            : explainRefusal(error, this.#address);
        }
        await sleep(pause * attempt, undefined, { signal });
      }
    }
  }
}
