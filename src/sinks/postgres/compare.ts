import { randomBytes } from 'node:crypto';
import type { Batch, Compared, Comparison, Context } from '../../contract/index.js';
import { SinkError } from '../../errors.js';
import { comparisonByKey } from './compare-keyed.js';
import { comparisonOfRows } from './compare-rows.js';
import { CopyFlight, copyStatement } from './copy.js';
import type { AskRows, Staged } from './differences.js';
import { createEncoder, type Encoder } from './encode.js';
import { asConnectionLost } from './errors.js';
import { Flight, isServerError, rowCount, sql } from './flight.js';
import { planning } from './merge.js';
import type { Pool } from './pool.js';
import { quoteIdentifier } from './quote.js';
import { Session } from './session.js';
import { encodeShapes } from './shapes.js';
import type { Statement, Target, TargetColumn } from './target.js';

/**
 * Stages all rows in temporary tables by the same COPY as a load, so that the database reads them as it did then, and
 * compares them with the table by joins. One transaction, with one view of the table, which is rolled back at the end.
 */
export async function compare(
  pool: Pool,
  target: Target,
  batches: AsyncIterable<Batch>,
  wanted: Compared,
  { signal }: Context,
): Promise<Comparison> {
  const session = new Session(await pool.acquire(signal), signal);
  try {
    const staging = new Staging(session, target);
    await staging.open();
    for await (const batch of batches) await staging.add(batch);
    return await staging.compare(wanted);
  } catch (error) {
    throw explain(asConnectionLost(error, session.broken), target);
  } finally {
    if (session.broken === undefined) await session.rollback(new Error('the comparison is over'));
    session.release();
  }
}

class Staging {
  readonly #session: Session;
  readonly #target: Target;
  readonly #name = `sluice_${randomBytes(6).toString('hex')}`;
  readonly #encoders = new Map<readonly string[], Encoder>();
  readonly #staged = new Map<string, Staged>();
  #rows = 0;

  constructor(session: Session, target: Target) {
    this.#session = session;
    this.#target = target;
  }

  /** Makes the first table too, and looks at the target, so that a missing privilege is known before there are rows. */
  async open(): Promise<void> {
    const { quotedName, columns, serverVersion } = this.#target;
    const patience = [
      'idle_in_transaction_session_timeout',
      ...(serverVersion >= 170000 ? ['transaction_timeout'] : []),
    ];
    await this.#session.run(
      new Flight([
        sql('BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE'),
        // The source may be slow.
        ...patience.map((name) => sql(`SELECT set_config('${name}', '0', true)`)),
        planning,
        sql(`SELECT ${columns.map(({ name }) => quoteIdentifier(name)).join(', ')} FROM ${quotedName} LIMIT 0`),
        this.#make(columns),
      ]),
    );
  }

  async add(batch: Batch): Promise<void> {
    let encoder = this.#encoders.get(batch.columns);
    if (encoder === undefined) {
      encoder = createEncoder(batch.columns, this.#target);
      this.#encoders.set(batch.columns, encoder);
    }
    for (const group of encodeShapes(batch, encoder, new Map(batch.refused))) {
      const before = this.#staged.has(shapeOf(group.columns)) ? [] : [this.#make(group.columns)];
      const { table } = this.#staged.get(shapeOf(group.columns))!;
      const copy = copyStatement(table, group.columns, group.options);
      const answers = await this.#session.run(new CopyFlight(before, copy, group, []));
      this.#rows += rowCount(answers[before.length]);
    }
  }

  async compare(wanted: Compared): Promise<Comparison> {
    const staged = [...this.#staged.values()];
    await this.#session.run(new Flight(staged.map(({ table }) => sql(`ANALYZE ${table}`))));
    const ask: AskRows = async (statement) => (await this.#session.run(new Flight([statement]))).at(-1)?.rows ?? [];
    const { mode } = this.#target;
    const values = wanted.values && !(mode === 'ignore' && wanted.kept);
    const found =
      mode === 'append'
        ? await comparisonOfRows(this.#target, staged, this.#name, ask)
        : await comparisonByKey(this.#target, staged, values, this.#name, ask);
    return { compared: this.#rows, ...found };
  }

  #make(columns: readonly TargetColumn[]): Statement {
    const table = `pg_temp.${this.#name}_${this.#staged.size}`;
    this.#staged.set(shapeOf(columns), { table, columns });
    const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ');
    return sql(
      `CREATE TEMP TABLE ${table} ON COMMIT DROP AS SELECT ${names} FROM ${this.#target.quotedName} WITH NO DATA`,
    );
  }
}

/** Whatever the order in which a batch has them. */
function shapeOf(columns: readonly TargetColumn[]): string {
  return columns
    .map(({ name }) => name)
    .sort()
    .join('\0');
}

function explain(error: unknown, { quotedName }: Target): unknown {
  if (!isServerError(error)) return error;
  if (error.code === '42501')
    return new SinkError(
      'no-privilege',
      `${quotedName} can't be read back: ${error.message}. To verify takes SELECT on its columns, and TEMPORARY on the database`,
      { cause: error },
    );
  if (/^2[23]/.test(error.code))
    return new SinkError(
      'verify-failed',
      `a record that was loaded can't be read by the database now: ${error.message} (${error.code}). The source or the types of ${quotedName} have changed meanwhile`,
      { cause: error },
    );
  return error;
}
