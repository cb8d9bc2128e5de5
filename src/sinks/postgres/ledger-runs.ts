import type pg from 'pg';
import type { Checkpoint, RunRequest, RunStatus, Span } from '../../contract/index.js';
import { SinkError } from '../../errors.js';

/** A holder whose heartbeat is older than this may be taken over. Milliseconds. */
const lease = 15_000;

/** A run as the ledger's table has it. */
export interface RunRow {
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

/** The columns of RunRow. */
export const runColumns = `run, job, epoch, status, source, sink, columns, fingerprints, holder, held_since, heartbeat, started,
  finished, compacted, heartbeat > now() - make_interval(secs => ${lease / 1000}) AS fresh`;

/** The run a resume goes on with. */
export async function latest(
  client: pg.Client,
  job: string,
  resume: RunRequest['resume'],
): Promise<RunRow | undefined> {
  const named = typeof resume === 'object';
  const { rows } = await client.query<RunRow>(
    `SELECT ${runColumns} FROM sluice.run WHERE job = $1 ${named ? 'AND run = $2' : ''} ORDER BY started DESC, run DESC LIMIT 1`,
    named ? [job, resume.run] : [job],
  );
  return rows[0];
}

/** What stands of a run. */
export async function checkpointOf(client: pg.Client, row: RunRow, resumed: boolean): Promise<Checkpoint> {
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

/** @throws SinkError when a run was asked for by its name. */
export function noRun(resume: RunRequest['resume']): undefined {
  if (typeof resume !== 'object') return undefined;
  throw new SinkError(
    'no-such-run',
    `the ledger has no run ${resume.run} of this job: see sluice runs, and check that source, table, mode and key are the same`,
  );
}
