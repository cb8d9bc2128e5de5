import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Checkpoint, Context, Ledger, Reject, RunRecord, RunRequest, RunStatus } from '../../contract/index.js';
import { SinkError, SluiceError } from '../../errors.js';
import { parseJson } from '../../formats/json.js';
import type { Ask } from './ask.js';
import { readServerState } from './catalog.js';
import { deadline } from './deadline.js';
import { fenced } from './errors.js';
import { beginRun } from './ledger-begin.js';
import { checkpointOf, latest, noRun, type RunRow, runColumns } from './ledger-runs.js';
import { beginShort, inspectLedger, makeLedger } from './ledger-tables.js';

/** Rejects fetched at once. */
const pageOfRejects = 1_000;
/** The same of their places alone. */
const pageOfReplayed = 50_000;

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
        const taken = await inTransaction(client, () => beginRun(client, request));
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

function settledLost(run: string, rows: number): SinkError {
  return new SinkError(
    'settled-lost',
    `${rows} rows of run ${run} were confirmed by the server and are gone: it crashed while synchronous_commit was off, or a standby took over that had not received them. Resume the run: it writes them again`,
  );
}

function takenOver(run: string): SluiceError {
  return new SluiceError(fenced, `run ${run} was taken over by another holder: this one may write no more`);
}
