import type pg from 'pg';
import * as z from 'zod';
import type {
  Batch,
  Compared,
  Comparison,
  Context,
  Intake,
  Ledger,
  Scratch,
  Sink,
  SinkPlan,
  SinkTraits,
  WriteResult,
} from '../../contract/index.js';
import { ConfigError, SluiceError } from '../../errors.js';
import { type Address, describeServer, parseAddress } from './address.js';
import { type Ask, asking } from './ask.js';
import { parseTableName, quoteName, readServerState, readTable, type ServerState, type TableName } from './catalog.js';
import { compare } from './compare.js';
import { createMissing, planCreation, rehearse } from './create.js';
import { classify } from './errors.js';
import { KeptConnections } from './kept-connections.js';
import { PostgresLedger } from './ledger.js';
import { inspectLedger } from './ledger-tables.js';
import { type Match, match, missingTable } from './match.js';
import { type PostgresOptions, postgresOptions } from './options.js';
import { createPool, type Pool } from './pool.js';
import { ScratchSchema } from './scratch.js';
import { type LedgerStatements, ledgerIn, ledgerStatements, noLedger } from './settle.js';
import { describeWrite } from './statements.js';
import type { Target, Wish } from './target.js';
import { createWriter, type Writer } from './write.js';

export { type PostgresOptions, postgresOptions } from './options.js';

/**
 * What a batch may have: each in flight holds its bytes, and the arrays of the ledger grow with its rows. A staging table is to
 * stay within temp_buffers, 8 MB by default, in which rows take more room than as text.
 */
const straight = { maxBatchRows: 100_000, maxBatchBytes: 8 * 1024 * 1024 };
const staged = { maxBatchRows: 50_000, maxBatchBytes: 4 * 1024 * 1024 };

/**
 * A table of a PostgreSQL server, 13 to 18, as a sink: exactly once, in every mode, also behind a pooler in transaction
 * mode. See the README beside this file.
 * @throws ConfigError when an option, the address or the table's name is not valid. Nothing is connected yet.
 */
export function postgres(options: PostgresOptions): Sink {
  const { address, table, wish } = checked(options);
  return new PostgresSink(createPool(address), address, table, wish);
}

/** Of this process. */
const keptConnections = new KeptConnections();

/**
 * As `postgres`; its connections are kept when it is disposed, for the next sink made so with the same address. The server ends
 * those that nobody took within a minute. Through a pooler, and on PostgreSQL 13, they are closed.
 */
export function postgresKeeping(options: PostgresOptions): Sink {
  const { address, table, wish } = checked(options);
  return new PostgresSink(createPool(address, keptConnections), address, table, wish);
}

/**
 * A schema of its own in the database of the table, with empty copies of the table (`LIKE ... INCLUDING ALL`, their sequences
 * their own). The table must be there, or `create` be set; whether it can be written to, its sink's `plan` tells.
 * @throws ConfigError as `postgres`; SinkError when the server can't be reached, or the user may not make a schema.
 */
export async function postgresScratch(options: PostgresOptions, signal: AbortSignal): Promise<Scratch> {
  const { address, table, wish } = checked(options);
  const pool = createPool(address);
  const ask = asking(pool, address);
  const schema = new ScratchSchema(ask, table);
  const close = async () => {
    try {
      await schema[Symbol.asyncDispose]();
    } finally {
      await pool[Symbol.asyncDispose]();
    }
  };
  try {
    // From here on the server answers; what is made there is not left half-way.
    await ask(signal, (client) => readServerState(client));
    await schema.open();
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
  return {
    async copy(run) {
      const name = await schema.copy(run);
      const account = wish.ledger ? ledgerIn(schema.name) : noLedger;
      // Of the ledger there is but what each batch says to it: nobody goes on with such a run.
      return new PostgresSink(createPool(address), address, name, { ...wish, ledger: false }, account);
    },
    roundTrip: (asked) => schema.roundTrip(asked),
    [Symbol.asyncDispose]: close,
  };
}

function checked(options: PostgresOptions): { address: Address; table: TableName; wish: Wishes } {
  const parsed = postgresOptions.safeParse(options);
  if (!parsed.success) throw new ConfigError('bad-option', `sink postgres: ${z.prettifyError(parsed.error)}`);
  const { url, iam, table, mode, key, create, ledger } = parsed.data;
  return { address: parseAddress(url, { iam }), table: parseTableName(table), wish: { mode, key, create, ledger } };
}

/**
 * The account of what is loaded into a database, without a table: to list runs and to forget old ones.
 * @throws ConfigError when the address is not valid. Nothing is connected yet.
 */
export function postgresLedger(
  url: string | undefined,
  { iam = false }: Pick<PostgresOptions, 'iam'> = {},
): Ledger & AsyncDisposable {
  const address = parseAddress(url, { iam });
  const pool = createPool(address);
  return Object.assign(new PostgresLedger(asking(pool, address)), {
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  });
}

type Wishes = Wish & { readonly create: boolean; readonly ledger: boolean };

/** What `plan` found, for `open`. */
interface Found {
  readonly session: ServerState;
  readonly intake: Intake;
  /** What makes the table, where it has to be made. */
  readonly creation: string | undefined;
  readonly matched: Match;
}

class PostgresSink implements Sink {
  readonly name = 'postgres';
  readonly identity: string;
  readonly traits: SinkTraits;
  readonly ledger?: Ledger;
  readonly count?: (context: Context) => Promise<number>;
  readonly classify = classify;
  readonly #table: TableName;
  readonly #wish: Wishes;
  readonly #account: LedgerStatements;
  readonly #pool: Pool;
  readonly #ask: Ask;
  #key: readonly string[];
  #found: Found | undefined;
  #writer: Writer | undefined;
  #target: Target | undefined;

  constructor(
    pool: Pool,
    address: Address,
    table: TableName,
    wish: Wishes,
    account: LedgerStatements = wish.ledger ? ledgerStatements : noLedger,
  ) {
    const { mode, key } = wish;
    this.identity = [describeServer(address), quoteName(table), mode, ...(key.length > 0 ? [key.join(',')] : [])].join(
      ' ',
    );
    this.#table = table;
    this.#wish = wish;
    this.#account = account;
    this.#key = key;
    this.#pool = pool;
    this.#ask = asking(this.#pool, address);
    const guarantee = wish.ledger ? 'exactly once' : wish.mode === 'append' ? 'at least once' : 'idempotent';
    const append = wish.mode === 'append';
    this.traits = { ...(append ? straight : staged), guarantee, rewrites: !append };
    if (wish.mode === 'append') this.count = (context) => this.#count(context);
    if (wish.ledger) this.ledger = new PostgresLedger(this.#ask);
  }

  /** As given, or after `plan` the primary key where the mode needs a key and none was given. */
  get key(): readonly string[] | undefined {
    return this.#key.length > 0 ? this.#key : undefined;
  }

  async plan(intake: Intake, context: Context): Promise<SinkPlan> {
    return await this.#ask(
      context.signal,
      async (client) => {
        const session = await readServerState(client, this.#pool.spare);
        this.#pool.servedBy(client, session.processID);
        const ready = !this.#wish.ledger || (await inspectLedger(client, session)) === 'ready';
        const notes = ready ? [] : ['the schema sluice will be made: it keeps account of what is loaded'];
        let creation: string | undefined;
        let matched = await this.#match(client, intake, session);
        if (matched === undefined) {
          if (!this.#wish.create) throw await missingTable(client, this.#table, session);
          // Without a column there is nothing to make it of.
          if (intake.columns.length === 0) {
            const unmade = `there is no table ${quoteName(this.#table)}, and without a record or a header there is nothing to make it of`;
            return { columns: [], free: session.free, unmade, statements: [], notes };
          }
          creation = await planCreation(client, this.#table, intake, this.#wish, session);
          matched = await rehearse(client, creation, () => this.#match(client, intake, session));
        }
        if (matched === undefined) throw await missingTable(client, this.#table, session);
        const { target } = matched;
        this.#key = target.key;
        this.#found = { session, intake, creation, matched };
        return {
          columns: target.columns.map((column) => column.name),
          others: matched.others.map((column) => column.name),
          free: session.free,
          statements: [
            ...(creation === undefined ? [] : [creation]),
            ...(target.columns.length === 0 ? [] : describeWrite(target, intake.textual)),
          ],
          notes: [...matched.notes, ...notes],
        };
      },
      context.log,
    );
  }

  async open(context: Context): Promise<void> {
    const found = this.#found;
    if (found === undefined) throw new SluiceError('not-planned', 'plan comes before open');
    const { creation, matched } = found;
    const { target, others } = creation === undefined ? matched : await this.#create(creation, found, context);
    this.#key = target.key;
    this.#target = { ...target, columns: [...target.columns, ...others] };
    this.#writer = createWriter({ pool: this.#pool, target: this.#target, ledger: this.#account });
  }

  async #create(creation: string, { session, intake }: Found, context: Context): Promise<Match> {
    return await this.#ask(context.signal, async (client) => {
      await createMissing(client, creation);
      // Matched again: what is there now counts, whoever made it.
      const matched = await this.#match(client, intake, session);
      if (matched === undefined) throw await missingTable(client, this.#table, session);
      return matched;
    });
  }

  async write(batch: Batch, context: Context): Promise<WriteResult> {
    if (this.#writer === undefined) throw new SluiceError('not-open', 'open comes before write');
    return await this.#writer.write(batch, context);
  }

  async compare(batches: AsyncIterable<Batch>, wanted: Compared, context: Context): Promise<Comparison> {
    return await compare(this.#pool, this.#opened(), batches, wanted, context);
  }

  async #count({ signal }: Context): Promise<number> {
    const { quotedName } = this.#opened();
    return await this.#ask(signal, async (client) => {
      const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM ${quotedName}`);
      return Number(rows[0]?.count);
    });
  }

  #opened(): Target {
    if (this.#target === undefined) throw new SluiceError('not-open', 'open comes before this');
    return this.#target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  /** Undefined when there is no table. */
  async #match(client: pg.Client, intake: Intake, session: ServerState): Promise<Match | undefined> {
    const table = await readTable(client, this.#table);
    return table && match(intake, table, this.#wish, session);
  }
}
