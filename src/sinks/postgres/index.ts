import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { z } from 'zod';
import type { Batch, Context, Intake, RunStatus, Sink, SinkPlan, WriteResult } from '../../contract/index.js';
import { ConfigError, SluiceError } from '../../errors.js';
import { type Address, describeServer, parseAddress } from './address.js';
import { parseTableName, quoteName, readSession, readTable, type Session, type TableName } from './catalog.js';
import { createMissing, planCreation, rehearse } from './create.js';
import { classify, explainConnect, explainRefusal } from './errors.js';
import { beginRun, endRun, inspectLedger, ledgerStatements, makeLedger } from './ledger.js';
import { type Match, match, missingTable, type Wish } from './match.js';
import { type PostgresOptions, postgresOptions } from './options.js';
import { createPool, type Pool, withClient } from './pool.js';
import { describeWrite } from './statements.js';
import { createWriter, type Writer } from './write.js';

export { type PostgresOptions, postgresOptions } from './options.js';

/** Rows a batch may have, so that the arrays of the ledger and the server's staging stay small. */
const maxBatchRows = 50_000;
/** Each batch in flight holds its bytes, and again what is encoded of them: 16 of these fit into 128 MB with the rest. */
const maxBatchBytes = 1024 * 1024;
/** How long `finish` tries to reach the server, in ms; the run's own signal may be aborted by then. */
const patience = 10_000;
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
  const { url, table, mode, key, create } = parsed.data;
  return new PostgresSink(parseAddress(url), parseTableName(table), { mode, key, create });
}

/** What `plan` found, for `open`. */
interface Found {
  readonly session: Session;
  readonly intake: Intake;
  /** What makes the table, where it has to be made. */
  readonly creation: string | undefined;
}

class PostgresSink implements Sink {
  readonly name = 'postgres';
  readonly identity: string;
  readonly traits = { maxBatchRows, maxBatchBytes, guarantee: 'exactly once' } as const;
  readonly classify = classify;
  readonly #address: Address;
  readonly #table: TableName;
  readonly #wish: Wish & { readonly create: boolean };
  readonly #pool: Pool;
  #key: readonly string[];
  #found: Found | undefined;
  #writer: Writer | undefined;

  constructor(address: Address, table: TableName, wish: Wish & { readonly create: boolean }) {
    const { mode, key } = wish;
    this.identity = [describeServer(address), quoteName(table), mode, ...(key.length > 0 ? [key.join(',')] : [])].join(
      ' ',
    );
    this.#address = address;
    this.#table = table;
    this.#wish = wish;
    this.#key = key;
    this.#pool = createPool(address);
  }

  /** As given, or after `plan` the primary key where the mode needs a key and none was given. */
  get key(): readonly string[] | undefined {
    return this.#key.length > 0 ? this.#key : undefined;
  }

  async plan(intake: Intake, context: Context): Promise<SinkPlan> {
    await this.#connect(context.signal);
    return await this.#ask(context.signal, async (client) => {
      const session = await readSession(client);
      const ledger = await inspectLedger(client, session);
      const notes = ledger === 'ready' ? [] : ['the schema sluice will be made: it keeps account of what is loaded'];
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
        statements: [...(creation === undefined ? [] : [creation]), ...describeWrite(target)],
        notes: [...matched.notes, ...notes],
      };
    });
  }

  async open(context: Context): Promise<void> {
    const found = this.#found;
    if (found === undefined) throw new SluiceError('not-planned', 'plan comes before open');
    const { session, intake, creation } = found;
    await this.#ask(context.signal, async (client) => {
      await makeLedger(client, session);
      if (creation !== undefined) await createMissing(client, creation);
      // Matched again: what is there now counts, whoever made it.
      const matched = await this.#match(client, intake, session);
      if (matched === undefined) throw await missingTable(client, this.#table, session);
      const { target } = matched;
      await beginRun(client, context, this.identity, `${hostname()} ${process.pid}`);
      this.#key = target.key;
      this.#writer = createWriter({ pool: this.#pool, target, ledger: ledgerStatements });
    });
  }

  async write(batch: Batch, context: Context): Promise<WriteResult> {
    if (this.#writer === undefined) throw new SluiceError('not-open', 'open comes before write');
    return await this.#writer.write(batch, context);
  }

  async finish(status: RunStatus, context: Context): Promise<void> {
    await this.#ask(AbortSignal.timeout(patience), (client) => endRun(client, status, context));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  /** Undefined when there is no table. */
  async #match(client: pg.Client, intake: Intake, session: Session): Promise<Match | undefined> {
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
