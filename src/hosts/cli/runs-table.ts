import type { RunRecord, RunStatus } from '../../contract/index.js';
import type { OpenRejects } from './open-rejects.js';
import { count, counted, duration } from './words.js';

/** A run as `--json` gives it. */
export interface ListedRun extends Omit<RunRecord, 'status' | 'alive' | 'endedAt'> {
  readonly status: RunStatus | 'running' | 'dead';
  /** Null while it runs, and when it died. */
  readonly endedAt: Date | null;
}

/** A running one that was not heard of within the lease is `dead`. */
export function listed({ alive, endedAt, ...run }: RunRecord): ListedRun {
  const status = run.status === 'running' && alive === false ? 'dead' : run.status;
  return { ...run, status, endedAt: endedAt ?? null };
}

/** Runs for a person, a line each. */
export function tableOfRuns(runs: readonly RunRecord[], now: Date): string {
  if (runs.length === 0) return 'No runs.';
  const head = ['RUN', 'STATUS', 'ROWS', 'REJECTED', 'STARTED', 'DURATION', 'HOLDER', 'SOURCE', 'SINK'];
  const rows = runs
    .map(listed)
    .map((run) => [
      run.run,
      run.status,
      count(run.rows),
      count(run.rejected),
      moment(run.startedAt),
      elapsed(run, now),
      holderOf(run),
      run.source,
      run.sink,
    ]);
  const widths = head.map((title, i) => Math.max(...[title, ...rows.map((row) => row[i]!)].map((cell) => cell.length)));
  const right = new Set([2, 3, 5]);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (right.has(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [head, ...rows].map(line).join('\n');
}

/** One run for a person. */
export function describeRun(
  record: RunRecord,
  splits: readonly { readonly split: string; readonly rows: number }[],
  rejects: OpenRejects,
  now: Date,
): string {
  const run = listed(record);
  const lines = [
    `run       ${run.run}`,
    `status    ${run.status}`,
    `from      ${run.source}`,
    `into      ${run.sink}`,
    `rows      ${count(run.rows)} settled, ${count(run.rejected)} of them rejected${rejects.replayed === 0 ? '' : `, ${count(rejects.replayed)} of those replayed since`}`,
    `started   ${moment(run.startedAt)}`,
    `duration  ${elapsed(run, now)}`,
    `holder    ${holderOf(run)}, since ${moment(run.holder.since)}, last heard of ${moment(run.holder.heartbeat)}`,
    `resumed   ${counted(run.epoch - 1, 'time')}`,
    `job       ${run.job}`,
  ];
  if (splits.length > 0)
    lines.push('', 'splits', ...splits.map(({ split, rows }) => `  ${split}: ${counted(rows, 'row')}`));
  if (rejects.first.length > 0) {
    const more = run.rejected - rejects.replayed - rejects.first.length;
    lines.push(
      '',
      rejects.replayed === 0 ? 'rejects' : 'rejects that are still to be replayed',
      ...rejects.first.map(({ split, row, code, reason }) => `  ${split}, row ${count(row + 1)}: ${reason} (${code})`),
    );
    if (more > 0)
      lines.push(
        `  and ${count(more)} more: see rejects.ndjson in the run's folder; PostgreSQL's ledger has them in sluice.reject`,
      );
  }
  return lines.join('\n');
}

/** Host and process; what follows them tells processes apart for programs. */
function holderOf({ holder }: ListedRun): string {
  const [host, process] = holder.name.split(' ');
  return process === undefined ? holder.name : `${host} ${process}`;
}

/** Of a dead one, until it was last heard of. */
function elapsed({ status, startedAt, endedAt, holder }: ListedRun, now: Date): string {
  const end = endedAt ?? (status === 'dead' ? holder.heartbeat : now);
  return duration(Math.max(0, end.getTime() - startedAt.getTime()) / 1000);
}

function moment(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}
