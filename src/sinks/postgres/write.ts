import { randomBytes } from 'node:crypto';
import type { Batch, Context, Refusal, Reject, WriteResult } from '../../contract/index.js';
import { InDoubt, NotWritten, type SluiceError } from '../../errors.js';
import { askMeddled } from './catalog.js';
import { CopyFlight, copyStatement, type Payload } from './copy.js';
import { csvPayload } from './csv-bytes.js';
import { type Doubtful, wasCommitted } from './doubt.js';
import { createEncoder, type Encoder } from './encode.js';
import { type Copied, isDataError, notWritten } from './failure.js';
import { type Answer, Flight, isServerError, rowCount, type ServerError, sql } from './flight.js';
import { createJudge, type Judge } from './judge.js';
import { lacking, type MergeCounts, merge, mergeCounts, mergeKnown, missing, planning, stage } from './merge.js';
import { askKeys, mergeCommand, mergedCounts, stagedKeys } from './merge-command.js';
import type { Pool } from './pool.js';
import { Session } from './session.js';
import type { LedgerStatements } from './settle.js';
import { encodeShapes } from './shapes.js';
import type { Statement, Target, TargetColumn } from './target.js';

/** How long a lost COMMIT is asked after: as long as a batch is tried again. */
const patienceMs = 60_000;

/** Rounds of judging and trying again before a batch is given back to be divided. */
const rounds = 3;

export interface Writer {
  /**
   * Writes a batch in one transaction, with its rejects and the ledger's entry for its spans.
   * @throws NotWritten when nothing of it landed; with the row, where the database named one.
   * @throws InDoubt when the connection was lost at COMMIT and the server can't be asked.
   */
  write(batch: Batch, context: Context): Promise<WriteResult>;
}

/** The fence needs to see what is committed when it looks, so the session's own default must not stand. */
const begin = sql('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
const currentXid = sql('SELECT pg_current_xact_id()::text');
/** SQLSTATE deadlock_detected. */
const deadlock = '40P01';
/** SQLSTATE of a COPY line that is not what its format says. */
const badCopyFormat = '22P04';

type Counts = { -readonly [name in keyof Omit<MergeCounts, 'passed'>]: number };

interface Parts {
  readonly pool: Pool;
  readonly target: Target;
  readonly ledger: LedgerStatements;
}

export function createWriter(parts: Parts): Writer {
  const encoders = new WeakMap<readonly string[], Encoder>();
  const judge = createJudge(parts.target);
  const manner = { inKeyOrder: false };
  return {
    async write(batch, context) {
      let encoder = encoders.get(batch.columns);
      if (encoder === undefined) {
        encoder = createEncoder(batch.columns, parts.target);
        encoders.set(batch.columns, encoder);
      }
      return await new BatchWrite(batch, context, encoder, judge, parts, manner).run();
    },
  };
}

/** What the batches of a load learn from one another. */
interface Manner {
  /** Rows are locked in the order of their keys: not by MERGE, which takes them as a join gives them. */
  inKeyOrder: boolean;
}

/** One COPY of a batch. */
interface Part {
  readonly columns: readonly TargetColumn[];
  readonly payload: Payload;
}

/** The server's count of rows is not the batch's: it was not committed. */
class Unaccounted extends Error {}

/** What MERGE says it wrote may not be all it was to write. */
class Meddled extends Unaccounted {}

/** One batch on its way: what is known of its rows, and in which form they are sent. */
class BatchWrite {
  readonly #batch: Batch;
  readonly #context: Context;
  readonly #encoder: Encoder;
  readonly #judge: Judge;
  readonly #parts: Parts;
  readonly #manner: Manner;
  readonly #rejects: Map<number, Refusal>;
  #asBytes: boolean;
  /** Rows were sent that could only be inserted with columns they lack. */
  #sentLacking = false;
  /** Such rows are written only where their key is there; the new ones are refused. */
  #knownOnly = false;
  /** MERGE would not do: it met a key that was not there when it looked, or somebody meddles with the table. */
  #onConflict = false;

  constructor(batch: Batch, context: Context, encoder: Encoder, judge: Judge, parts: Parts, manner: Manner) {
    this.#batch = batch;
    this.#context = context;
    this.#encoder = encoder;
    this.#judge = judge;
    this.#parts = parts;
    this.#manner = manner;
    this.#rejects = new Map(batch.refused);
    this.#asBytes = batch.csv !== undefined;
  }

  async run(): Promise<WriteResult> {
    let session: Session | undefined;
    try {
      const { signal } = this.#context;
      session = new Session(await this.#parts.pool.acquire(signal), signal);
      for (let round = 1; ; round++) {
        try {
          return await this.#attempt(session);
        } catch (error) {
          if (!(await this.#mend(error, session, round))) throw error;
        }
      }
    } catch (error) {
      throw this.#failure(error, session?.broken !== undefined);
    } finally {
      session?.release();
    }
  }

  /** The batch's rows as COPYs: bytes as they are, or encoded, one COPY for each set of columns. */
  *#cut(): Iterable<Part> {
    const { csv } = this.#batch;
    if (this.#asBytes && csv !== undefined) {
      const payload = csvPayload(this.#batch, csv, this.#rejects);
      if (payload.rows > 0) yield { columns: this.#encoder.columns, payload };
      return;
    }
    for (const group of encodeShapes(this.#batch, this.#encoder, this.#rejects))
      yield { columns: group.columns, payload: group };
  }

  /** The transaction: two round trips, one more for each further set of columns. */
  async #attempt(session: Session): Promise<WriteResult> {
    const opening = [begin, ...this.#parts.ledger.fence(this.#context), currentXid];
    const counts = { written: 0, unchanged: 0, duplicate: 0 };
    let opened: Answer | undefined;
    for (const part of this.#cut()) {
      const answers = await this.#copy(session, opened === undefined ? opening : [], part, counts);
      opened ??= answers[opening.length - 1];
    }
    opened ??= (await session.run(new Flight(opening))).at(-1);
    const rejects = this.#listRejects();
    const result: WriteResult = { ...counts, duplicate: counts.duplicate + this.#givenBefore(), rejects };
    const accounted = result.written + result.unchanged + result.duplicate + rejects.length;
    if (accounted !== this.#batch.rows)
      throw new Unaccounted(`${accounted} of ${this.#batch.rows} rows are accounted for`);
    const settle = this.#parts.ledger.settle(this.#batch.spans, rejects, this.#context);
    const settled = this.#parts.ledger.settled(this.#batch.spans, this.#context);
    await this.#commit(session, [...settle, ...this.#replayed()], { xid: opened?.rows[0]?.[0] ?? '', settled });
    return result;
  }

  /** One COPY, into the table itself or by way of a staging table. */
  async #copy(session: Session, before: readonly Statement[], part: Part, counts: Counts): Promise<readonly Answer[]> {
    const { target } = this.#parts;
    const { columns, payload } = part;
    const merges = target.mode !== 'append';
    const staging = `sluice_${randomBytes(6).toString('hex')}`;
    const table = merges ? `pg_temp.${staging}` : target.quotedName;
    const ahead = merges ? [...before, planning, ...stage(table, columns, target)] : before;
    const needed = merges ? lacking(columns, target) : [];
    const known = this.#knownOnly && needed.length > 0;
    this.#sentLacking ||= needed.length > 0;
    const commanded = this.#byMerge && !known;
    const after = merges
      ? [commanded ? askKeys(table, target) : (known ? mergeKnown : merge)(table, columns, target)]
      : [];
    const flight = new CopyFlight(ahead, copyStatement(table, columns, payload.options), payload, after);
    try {
      const answers = await session.run(flight);
      const taken = rowCount(answers[ahead.length]);
      if (taken !== payload.rows) throw new Unaccounted(`COPY took ${taken} of ${payload.rows} rows`);
      const refused = known ? this.#refuseNew(answers.at(-1), payload, needed[0]!) : 0;
      const merged = commanded
        ? await this.#merge(session, table, columns, taken, answers.at(-1))
        : merges
          ? mergeCounts(answers.at(-1), taken - refused, target)
          : { written: taken, unchanged: 0, duplicate: 0, passed: 0 };
      if (merged === undefined) throw new Unaccounted(`the merge left out some of ${taken} rows`);
      if (merged.passed > 0) {
        const [gone] = await session.run(new Flight([missing(table, target)]));
        if (gone?.rows[0]?.[0] !== '0')
          throw new Unaccounted(`${gone?.rows[0]?.[0]} of ${taken} rows were not inserted`);
      }
      counts.written += merged.written;
      counts.unchanged += merged.unchanged;
      counts.duplicate += merged.duplicate;
      return answers;
    } catch (error) {
      if (!isServerError(error) || flight.answers.length < ahead.length) throw error;
      const inCopy = flight.answers.length === ahead.length;
      const copied = { relation: merges ? staging : relationName(target), payload, columns };
      throw new RowsRefused(error, inCopy ? copied : undefined);
    }
  }

  get #byMerge(): boolean {
    const { mode, mergeable } = this.#parts.target;
    return mode === 'upsert' && mergeable && !this.#onConflict && !this.#manner.inKeyOrder;
  }

  /** By MERGE, which is told what the staged keys are like. */
  async #merge(
    session: Session,
    table: string,
    columns: readonly TargetColumn[],
    staged: number,
    answer: Answer | undefined,
  ): Promise<MergeCounts | undefined> {
    const keys = stagedKeys(answer);
    const command = mergeCommand(table, columns, this.#parts.target, staged, keys);
    const [merged, meddled] = await session.run(new Flight([command, askMeddled(this.#parts.target.quotedName)]));
    if (meddled?.rows[0]?.[0] !== 'f') throw new Meddled('the table has a trigger, rule or policy since a moment ago');
    return mergedCounts(merged, staged, keys);
  }

  /** Refuses the lines of a COPY that are new and lack a column; says how many. */
  #refuseNew(answer: Answer | undefined, payload: Payload, { name }: TargetColumn): number {
    const lines = (answer?.rows[0]?.[3] ?? '').split(',').filter((line) => line !== '');
    const reason = `column "${name}" is missing, the table has it NOT NULL, and no row with this key is there`;
    for (const line of lines) {
      const row = payload.rowAtLine(Number(line));
      if (row !== undefined) this.#rejects.set(row, { code: '23502', reason, column: name });
    }
    return lines.length;
  }

  /** Settles and commits. A lost connection leaves the question whether it did, which the server answers. */
  async #commit(session: Session, settle: readonly Statement[], doubtful: Doubtful): Promise<void> {
    const flight = new Flight([...settle, sql('COMMIT')]);
    try {
      await session.run(flight);
    } catch (error) {
      if (!flight.submitted) throw error;
      if (flight.answers.length <= settle.length) {
        // An error of the server came before COMMIT took effect, unless it is the one that ends the session.
        if (isServerError(error) && (await session.rollback(error))) throw error;
        session.close(error);
        const { signal } = this.#context;
        if (!(await wasCommitted(doubtful, this.#parts.pool, patienceMs, signal, error))) throw error;
      }
    }
    // COMMIT of a transaction that failed answers ROLLBACK.
    if (flight.answers[settle.length]?.tag === 'ROLLBACK') throw new Unaccounted('the transaction was rolled back');
  }

  /** After a failed attempt: rolls back, and says whether trying again makes sense. */
  async #mend(error: unknown, session: Session, round: number): Promise<boolean> {
    if (session.broken !== undefined || !(await session.rollback(error))) return false;
    if (this.#context.signal.aborted || round === rounds) return false;
    if (error instanceof Meddled) {
      this.#onConflict = true;
      return true;
    }
    if (error instanceof Unaccounted) return this.#parse();
    if (!(error instanceof RowsRefused)) return false;
    if (this.#byMerge && (error.cause.code === '23505' || error.cause.code === deadlock)) {
      this.#onConflict = true;
      // Somebody else writes these rows in another order: from now on all batches lock them in the order of their keys.
      if (error.cause.code === deadlock) this.#manner.inKeyOrder = true;
      return true;
    }
    if (!isDataError(error.cause)) return false;
    const { code } = error.cause;
    if (code === '23502' && this.#sentLacking && !this.#knownOnly) {
      this.#knownOnly = true;
      return true;
    }
    const ask = (statements: readonly Statement[]) => session.ask(statements);
    const condemned = await this.#judge.condemn(this.#batch, this.#encoder, this.#rejects, code, ask);
    return condemned > 0 || (code === badCopyFormat && this.#parse());
  }

  /** From here on the bytes are read instead of handed on; false when they are already. */
  #parse(): boolean {
    const asBytes = this.#asBytes;
    this.#asBytes = false;
    return asBytes;
  }

  /** Of rejects of an earlier run, those that are settled with this batch for good. */
  #replayed(): readonly Statement[] {
    const { replayOf, rows, duplicates } = this.#batch;
    if (replayOf === undefined) return [];
    const written = Array.from({ length: rows }, (_, row) => row).filter(
      (row) => !this.#rejects.has(row) && !duplicates.has(row),
    );
    const places = written.map((row) => this.#batch.origin(row));
    return places.length === 0 ? [] : this.#parts.ledger.replayed(replayOf, places, this.#context);
  }

  #givenBefore(): number {
    let count = 0;
    for (const row of this.#batch.duplicates) if (!this.#rejects.has(row)) count++;
    return count;
  }

  #listRejects(): Reject[] {
    return [...this.#rejects]
      .sort(([a], [b]) => a - b)
      .map(([row, refusal]) => ({ ...this.#batch.origin(row), ...refusal }));
  }

  #failure(error: unknown, lost: boolean): SluiceError {
    if (error instanceof InDoubt) return error;
    if (this.#context.signal.aborted)
      return new NotWritten('aborted', 'the load was stopped, and nothing of this batch was written', { cause: error });
    if (error instanceof Unaccounted)
      return new NotWritten(
        'rows-unaccounted',
        `nothing of the batch was written: ${error.message}. A trigger, a rule or a row-level policy on ${this.#parts.target.quotedName} that leaves rows out would do this; Sluice can't load through one`,
        { cause: error },
      );
    if (isServerError(error) && error.schema === 'sluice' && error.table === 'replayed')
      return new NotWritten(
        'replayed-meanwhile',
        'some of these rejects have just been written by another replay, and nothing of this batch was: start the replay again, and it will pass them over',
        { cause: error },
      );
    if (error instanceof RowsRefused) return notWritten(error.cause, lost, error.copied);
    return notWritten(error, lost);
  }
}

/** The server did not take the rows: as COPY read them, or, without `copied`, when they were merged. */
class RowsRefused extends Error {
  override readonly cause: ServerError;
  readonly copied: Copied | undefined;
  constructor(cause: ServerError, copied: Copied | undefined) {
    super(cause.message, { cause });
    this.cause = cause;
    this.copied = copied;
  }
}

/** Without its schema, and unquoted. */
function relationName(target: Target): string {
  const quoted = /"((?:[^"]|"")*)"$/.exec(target.quotedName)?.[1] ?? '';
  return quoted.replaceAll('""', '"');
}
