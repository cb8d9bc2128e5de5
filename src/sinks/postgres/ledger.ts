import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type {
  Checkpoint,
  Context,
  Ledger,
  Reject,
  RunRecord,
  RunRequest,
  RunStatus,
  Span,
} from '../../contract/index.js';
import { codeOf, SinkError, SluiceError } from '../../errors.js';
import { parseJson } from '../../formats/json.js';
import type { Ask } from './ask.js';
import { readServerState } from './catalog.js';
import { deadline } from './deadline.js';
import { fenced } from './errors.js';
import { beginShort, inspectLedger, makeLedger } from './ledger-tables.js';

/** A holder whose heartbeat is older than this may be taken over. Milliseconds. */
const lease = 15_000;
/** SQLSTATE of a lock that was waited for as long as it may be. */
const lockNotAvailable = '55P03';
/** Rejects fetched at once. */
const pageOfRejects = 1_000;
/** The same of their places alone. */
const pageOfReplayed = 50_000;

interface RunRow {
  readonly run: string;
  readonly job: string;
  readonly epoch: number;
  readonly status: RunStatus | 'running';
  readonly source: string;
  readonly sink: string;
  readonly columns: readonly string[];
  readonly fingerprints: Readonly<Record<string, string>>;
  readonly holder: string;
  readonly held_since: Date;
  readonly heartbeat: Date;
  readonly started: Date;
  readonly finished: Date | null;
  readonly fresh: boolean;
  readonly compacted: readonly Span[] | null;
}

const runColumns = `run, job, epoch, status, source, sink, columns, fingerprints, holder, held_since, heartbeat, started,
  finished, compacted, heartbeat > now() - make_interval(secs => ${lease / 1000}) AS fresh`;

/** The ledger in the target's own database: the sink settles in each batch's transaction. */
export class PostgresLedger implements Ledger {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  async find(
    { job, resume }: Pick<RunRequest, 'job' | 'resume'>,
    signal: AbortSignal,
  ): Promise<Checkpoint | undefined> {
    if (resume === 'no') return undefined;
    return await this.#ask(signal, async (client) => {
      if ((await inspectLedger(client, await readServerState(client))) === 'missing') return noRun(resume);
      const found = await latest(client, job, resume);
      return found === undefined ? noRun(resume) : await checkpointOf(client, found, true);
    });
  }

  async begin(request: RunRequest, signal: AbortSignal): Promise<Checkpoint> {
    return await this.#ask(signal, async (client) => {
      await makeLedger(client, await readServerState(client));
      for (;;) {
        const taken = await inTransaction(client, () => begin(client, request));
        if (taken !== 'busy') return taken;
        // A dead holder's transaction was told to end, and needs a moment for it.
        await sleep(100, undefined, { signal });
      }
    });
  }

  async heartbeat({ run, epoch, signal }: Context): Promise<void> {
    await this.#ask(signal, async (client) => {
      const { rowCount } = await client.query('UPDATE sluice.run SET heartbeat = now() WHERE run = $1 AND epoch = $2', [
        run,
        epoch,
      ]);
      if (rowCount === 0) throw takenOver(run);
    });
  }

  async *rejects(run: string, signal: AbortSignal): AsyncGenerator<Reject, void, void> {
    let after: readonly [string, string] = ['', '-1'];
    for (;;) {
      const rows = await this.#ask(signal, async (client) => await rejectsAfter(client, run, after));
      for (const { split, row, code, column, reason, record, csv } of rows) {
        const refusal = column === null ? { code, reason } : { code, reason, column };
        const layout = csv === null ? {} : { csv: JSON.parse(csv) };
        yield {
          split,
          row: Number(row),
          ...refusal,
          record: record === null ? undefined : parseJson(record),
          ...layout,
        };
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageOfRejects) return;
      after = [last.split, last.row];
    }
  }

  async *replayed(run: string, signal: AbortSignal): AsyncGenerator<Pick<Reject, 'split' | 'row'>, void, void> {
    let after: readonly [string, string] = ['', '-1'];
    for (let first = true; ; first = false) {
      const rows = await this.#ask(signal, (client) => replayedAfter(client, run, after, first));
      for (const { split, row } of rows) yield { split, row: Number(row) };
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageOfReplayed) return;
      after = [last.split, last.row];
    }
  }

  async finish(status: RunStatus, { run, epoch, signal }: Context, settled = 0): Promise<void> {
    const complete = status === 'complete' || status === 'complete-with-rejects';
    // The run's own signal may be aborted by now. Nobody waits long for a run that did not end well.
    using patience = deadline(complete ? 60_000 : 10_000, signal, 2_000);
    const lost = await this.#ask(patience.signal, (client) =>
      inTransaction(client, async () => {
        const lost = complete ? settled - (await settledRows(client, run)) : 0;
        const { rowCount } = await client.query(
          `UPDATE sluice.run SET status = $3, heartbeat = now(), finished = now() WHERE run = $1 AND epoch = $2`,
          [run, epoch, lost > 0 ? 'failed' : status],
        );
        if (rowCount === 0) throw takenOver(run);
        if (complete && lost <= 0) await compact(client, run);
        return lost;
      }),
    );
    if (lost > 0) throw settledLost(run, lost);
  }

  async runs(signal: AbortSignal): Promise<readonly RunRecord[]> {
    return await this.#ask(signal, async (client) => {
      if ((await inspectLedger(client, await readServerState(client))) === 'missing') return [];
      const { rows } = await client.query<RunRow & { rows: string; rejected: string }>(
        `SELECT ${runColumns},
  coalesce((SELECT sum((s ->> 'rows')::bigint) FROM json_array_elements(compacted) s), 0)
    + coalesce((SELECT sum(s.rows) FROM sluice.span s WHERE s.run = r.run), 0) AS rows,
  (SELECT count(*) FROM sluice.reject j WHERE j.run = r.run) AS rejected
FROM sluice.run r ORDER BY started DESC, run DESC`,
      );
      return rows.map((row) => ({
        run: row.run,
        job: row.job,
        source: row.source,
        sink: row.sink,
        status: row.status,
        epoch: row.epoch,
        holder: { name: row.holder, since: row.held_since, heartbeat: row.heartbeat },
        alive: row.status === 'running' && row.fresh,
        startedAt: row.started,
        endedAt: row.finished ?? undefined,
        rows: Number(row.rows),
        rejected: Number(row.rejected),
      }));
    });
  }

  async prune(keep: number, signal: AbortSignal): Promise<number> {
    return await this.#ask(signal, async (client) => {
      if ((await inspectLedger(client, await readServerState(client))) === 'missing') return 0;
      return await inTransaction(client, async () => {
        const { rows } = await client.query<{ run: string }>(
          `DELETE FROM sluice.run WHERE run IN (
  SELECT run FROM (SELECT run, status, row_number() OVER (PARTITION BY job ORDER BY started DESC, run DESC) AS age FROM sluice.run) aged
  WHERE age > $1 AND status <> 'running') RETURNING run`,
          [keep],
        );
        const gone = [rows.map(({ run }) => run)];
        await client.query('DELETE FROM sluice.span WHERE run = ANY($1)', gone);
        await client.query('DELETE FROM sluice.reject WHERE run = ANY($1)', gone);
        return rows.length;
      });
    });
  }
}

/** The row-by-row part of `rejects`, which goes on behind the last one seen. */
async function rejectsAfter(client: pg.Client, run: string, after: readonly [string, string]) {
  const { rows } = await client.query<{
    split: string;
    row: string;
    code: string;
    column: string | null;
    reason: string;
    record: string | null;
    csv: string | null;
  }>(
    `SELECT split, "row", code, "column", reason, record::text AS record, csv::text AS csv FROM sluice.reject
WHERE run = $1 AND (split COLLATE "C", "row") > ($2 COLLATE "C", $3::bigint)
ORDER BY split COLLATE "C", "row" LIMIT ${pageOfRejects}`,
    [run, ...after],
  );
  return rows;
}

/** The first look waits for batches on their way, such as those of a replay whose process has just died. */
async function replayedAfter(client: pg.Client, run: string, after: readonly [string, string], first: boolean) {
  if ((await inspectLedger(client, await readServerState(client))) === 'missing') return [];
  return await inTransaction(client, async () => {
    if (first) await client.query('LOCK TABLE sluice.replayed IN SHARE MODE');
    const { rows } = await client.query<{ split: string; row: string }>(
      `SELECT split, "row" FROM sluice.replayed WHERE run = $1 AND (split COLLATE "C", "row") > ($2 COLLATE "C", $3::bigint)
ORDER BY split COLLATE "C", "row" LIMIT ${pageOfReplayed}`,
      [run, ...after],
    );
    return rows;
  });
}

async function inTransaction<Result>(client: pg.Client, work: () => Promise<Result>): Promise<Result> {
  await client.query(beginShort);
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** One beginning at a time for a job, so that of two that start together one sees the other. */
async function begin(client: pg.Client, request: RunRequest): Promise<Checkpoint | 'busy'> {
  await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('sluice job ' || $1, 0))`, [request.job]);
  const { rows: running } = await client.query<RunRow>(
    `SELECT ${runColumns} FROM sluice.run WHERE job = $1 AND status = 'running'`,
    [request.job],
  );
  // Begun before, and the answer was lost.
  const own = running.find(({ holder }) => holder === request.holder);
  if (own !== undefined) return await checkpointOf(client, own, own.run !== request.run);
  const found = request.resume === 'no' ? undefined : await latest(client, request.job, request.resume);
  if (found === undefined) noRun(request.resume);
  for (const other of running) if (other.fresh && request.mayBeAlive(other.holder)) throw held(other);
  let taken: RunRow | undefined;
  for (const run of new Set([...running, ...(found ? [found] : [])].map((row) => row.run))) {
    const row = await fenceOff(client, run);
    if (row === 'busy') return 'busy';
    if (run === found?.run) taken = row;
  }
  if (taken === undefined) {
    await client.query(
      `INSERT INTO sluice.run (run, job, epoch, status, source, sink, columns, fingerprints, holder)
VALUES ($1, $2, 1, 'running', $3, $4, $5, $6, $7)`,
      [
        request.run,
        request.job,
        request.source,
        request.sink,
        JSON.stringify(request.columns),
        JSON.stringify(request.fingerprints),
        request.holder,
      ],
    );
    const { columns, fingerprints } = request;
    return {
      run: request.run,
      resumed: false,
      ended: undefined,
      epoch: 1,
      spans: [],
      rejected: 0,
      columns,
      fingerprints,
    };
  }
  await client.query(
    `UPDATE sluice.run SET status = 'running', holder = $2, held_since = now(), heartbeat = now(), finished = NULL WHERE run = $1`,
    [taken.run, request.holder],
  );
  return await checkpointOf(client, { ...taken, epoch: taken.epoch + 1 }, true);
}

/**
 * Raises the epoch of a run under its lock, so that no batch of a former holder commits from now on. Those that are on
 * their way hold the lock: nobody waits for them any more, and they are ended. A holder that lives and writes takes the
 * lock again at once; in the queue for it, we are before him. Resolves to the run as it was left, which is not what it
 * was before the lock: the former holder may have finished it in between. `busy` when the lock could not be had yet.
 */
async function fenceOff(client: pg.Client, run: string): Promise<RunRow | 'busy'> {
  const { rows } = await client.query<{ free: boolean }>(
    'SELECT pg_try_advisory_xact_lock(sluice.lock_key($1)) AS free',
    [run],
  );
  if (rows[0]?.free !== true) {
    await endHolders(client, run);
    if (!(await queueForLock(client, run))) return 'busy';
  }
  const { rows: left } = await client.query<RunRow>(`SELECT ${runColumns} FROM sluice.run WHERE run = $1 FOR UPDATE`, [
    run,
  ]);
  const [row] = left;
  if (row === undefined) return 'busy';
  await client.query(
    `UPDATE sluice.run SET epoch = epoch + 1, status = CASE status WHEN 'running' THEN 'failed' ELSE status END WHERE run = $1`,
    [run],
  );
  return row;
}

/** False when its holders have not let go within a moment. */
async function queueForLock(client: pg.Client, run: string): Promise<boolean> {
  await client.query('SAVEPOINT queueing; SET LOCAL lock_timeout = 1000');
  try {
    await client.query('SELECT pg_advisory_xact_lock(sluice.lock_key($1))', [run]);
    await client.query('SET LOCAL lock_timeout = 0');
    return true;
  } catch (error) {
    if (codeOf(error) !== lockNotAvailable) throw error;
    await client.query('ROLLBACK TO SAVEPOINT queueing');
    return false;
  }
}

/** Where the role may not end another's connection, its transaction is waited for. */
async function endHolders(client: pg.Client, run: string): Promise<void> {
  await client.query('SAVEPOINT ending');
  try {
    await client.query(
      `SELECT pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l, (SELECT sluice.lock_key($1) AS key) k
WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = k.key`,
      [run],
    );
  } catch (error) {
    if (codeOf(error) !== '42501') throw error;
    await client.query('ROLLBACK TO SAVEPOINT ending');
  }
}

async function latest(client: pg.Client, job: string, resume: RunRequest['resume']): Promise<RunRow | undefined> {
  const named = typeof resume === 'object';
  const { rows } = await client.query<RunRow>(
    `SELECT ${runColumns} FROM sluice.run WHERE job = $1 ${named ? 'AND run = $2' : ''} ORDER BY started DESC, run DESC LIMIT 1`,
    named ? [job, resume.run] : [job],
  );
  return rows[0];
}

async function checkpointOf(client: pg.Client, row: RunRow, resumed: boolean): Promise<Checkpoint> {
  const { rows } = await client.query<{ split: string; from_row: string; rows: string; next: string }>(
    'SELECT split, from_row, rows, next::text AS next FROM sluice.span WHERE run = $1',
    [row.run],
  );
  const { rows: rejects } = await client.query<{ count: string }>('SELECT count(*) FROM sluice.reject WHERE run = $1', [
    row.run,
  ]);
  const spans = rows.map(
    ({ split, from_row, rows, next }): Span => ({
      split,
      from: Number(from_row),
      rows: Number(rows),
      next: JSON.parse(next),
    }),
  );
  const { run, epoch, columns, fingerprints, status } = row;
  return {
    run,
    resumed,
    ended: status === 'running' ? undefined : status,
    epoch,
    spans: [...(row.compacted ?? []), ...spans],
    rejected: Number(rejects[0]?.count ?? 0),
    columns,
    fingerprints,
  };
}

async function settledRows(client: pg.Client, run: string): Promise<number> {
  const { rows } = await client.query<{ rows: string }>(
    `SELECT coalesce((SELECT sum(rows) FROM sluice.span WHERE run = $1), 0)
  + coalesce((SELECT sum((s ->> 'rows')::bigint) FROM sluice.run, json_array_elements(compacted) s WHERE run = $1), 0) AS rows`,
    [run],
  );
  return Number(rows[0]?.rows);
}

/** The spans of a complete run are one range a split: its row then says it all. */
async function compact(client: pg.Client, run: string): Promise<void> {
  const { rowCount } = await client.query(
    `WITH splits AS (
  SELECT split, min(from_row) AS "from", sum(rows) AS rows, max(from_row + rows) AS "to",
    (array_agg(next ORDER BY from_row DESC))[1] AS next
  FROM (
    SELECT split, from_row, rows, next FROM sluice.span WHERE run = $1
    UNION ALL
    SELECT s ->> 'split', (s ->> 'from')::bigint, (s ->> 'rows')::bigint, s -> 'next'
    FROM sluice.run, json_array_elements(compacted) s WHERE run = $1
  ) spans GROUP BY split
)
UPDATE sluice.run SET compacted = (
  SELECT coalesce(json_agg(json_build_object('split', split, 'from', "from", 'rows', rows, 'next', next)), '[]') FROM splits)
WHERE run = $1 AND NOT EXISTS (SELECT FROM splits WHERE "from" <> 0 OR rows <> "to")`,
    [run],
  );
  if (rowCount === 1) await client.query('DELETE FROM sluice.span WHERE run = $1', [run]);
}

/** @throws SinkError when a run was asked for by its name. */
function noRun(resume: RunRequest['resume']): undefined {
  if (typeof resume !== 'object') return undefined;
  throw new SinkError(
    'no-such-run',
    `the ledger has no run ${resume.run} of this job: see sluice runs, and check that source, table, mode and key are the same`,
  );
}

function held({ run, holder, held_since, heartbeat }: RunRow): SinkError {
  return new SinkError(
    'job-held',
    `this job is being run by ${holder} since ${held_since.toISOString()} (run ${run}, last heard of ${heartbeat.toISOString()})`,
  );
}

function settledLost(run: string, rows: number): SinkError {
  return new SinkError(
    'settled-lost',
    `${rows} rows of run ${run} were confirmed by the server and are gone: it crashed while synchronous_commit was off, or a standby took over that had not received them. Resume the run: it writes them again`,
  );
}

function takenOver(run: string): SluiceError {
  return new SluiceError(fenced, `run ${run} was taken over by another holder: this one may write no more`);
}
