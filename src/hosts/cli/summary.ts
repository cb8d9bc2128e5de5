import type { Report, RunStatus, Verified } from '../../contract/index.js';
import type { DryRun } from '../../flow/options.js';
import { describeChange } from '../../telemetry/gate-record.js';
import { count, counted, duration, size } from './words.js';

const heads: Readonly<Record<RunStatus, string>> = {
  complete: 'Complete',
  'complete-with-rejects': 'Complete, with rejects',
  'too-many-rejects': 'Stopped: too many rejects',
  incomplete: 'Incomplete: the source could not be proven to have been read whole',
  failed: 'Failed',
  interrupted: 'Interrupted before the end',
};

/** What a run did, for a person: an account that adds up, what to look at, where to find it. */
export function summarize(report: Report, resumed = false): string {
  const parts = [`  from     ${report.source}`, `  into     ${report.sink} (${report.guarantee})`];
  const folder = report.runDir === null ? [] : [`  folder   ${report.runDir}`];
  // Zeros would only hide the error that follows.
  if (report.status === 'failed' && report.read === 0) {
    return ['Failed before anything was written', ...parts, ...folder].join('\n');
  }
  const lines = [
    `${heads[report.status]}: ${amount(report)}`,
    `  read ${count(report.read)} = written ${count(report.written)} + unchanged ${count(report.unchanged)}` +
      ` + duplicate ${count(report.duplicate)} + rejected ${count(report.rejected)} + skipped ${count(report.skipped)}`,
    ...(resumed ? [`  resumed  run ${report.run}: ${counted(report.skipped, 'record')} had been settled before`] : []),
    ...parts,
    `  with     ${counted(report.batches, 'batch', 'batches')}, at most ${count(report.workers)} at once, ${counted(report.retries, 'retry', 'retries')}`,
    ...lastChanges(report),
    ...report.problems.map(
      (problem) =>
        `  problem  ${problem.name}${problem.count > 1 ? ` (${count(problem.count)} times)` : ''}: ${problem.message}`,
    ),
  ];
  if (report.verify !== undefined) lines.push(...describeVerified(report.verify));
  if (report.rejectsFile !== null) lines.push(`  rejects  ${report.rejectsFile}`);
  return [...lines, ...folder].join('\n');
}

/** How much, and how fast: what had been settled before took this run no time. */
function amount({ status, read, skipped, bytes, seconds }: Report): string {
  if (read === 0) return 'no record was read';
  const now = read - skipped;
  if (now === 0 && status.startsWith('complete')) return 'nothing was left to do';
  const perSecond = seconds > 0 ? `, ${count(now / seconds)} rows/s` : '';
  const all = skipped === 0 ? counted(read, 'record') : `${count(now)} of ${counted(read, 'record')}`;
  return `${all} (${size(bytes)}) in ${duration(seconds)}${perSecond}`;
}

function describeVerified({ level, compared, missing, different, differences }: Verified): string[] {
  const outcome =
    missing + different === 0 ? 'all as written' : `${count(missing)} missing, ${count(different)} different`;
  return [
    `  verify   ${level}: ${counted(compared, level === 'count' ? 'row' : 'record')}, ${outcome}`,
    ...differences.map(({ key, column, expected, found }) => {
      const row = Object.entries(key).map(([name, value]) => `${name}=${value ?? 'null'}`);
      const what = column === null ? 'is missing' : `has ${column} ${found ?? 'null'} instead of ${expected ?? 'null'}`;
      return `           ${row.join(', ')} ${what}`;
    }),
  ];
}

/** What a load would do, for a person. */
export function describeDryRun(plan: DryRun): string {
  const widest = Math.max(0, ...plan.columns.map(({ column }) => column.length));
  const lines = [
    `Dry run: nothing was changed. ${counted(plan.sampled, 'record')} sampled.`,
    '',
    `from     ${plan.source}`,
    `into     ${plan.sink}`,
    `workers  ${workersOf(plan)}`,
    '',
    'columns',
    ...plan.columns.map(({ column, from }) => `  ${column.padEnd(widest)}  <- ${from}`),
    '',
    'statements',
    ...plan.statements.map((statement) => `  ${statement.replaceAll('\n', '\n  ')}`),
  ];
  if (plan.notes.length > 0) lines.push('', 'notes', ...plan.notes.map((note) => `  ${note}`));
  return lines.join('\n');
}

function workersOf({ workers, maxWorkers }: DryRun): string {
  return workers === maxWorkers ? count(workers) : `${count(workers)} to begin with, ${count(maxWorkers)} at most`;
}

/** The last of what the gate changed; log.ndjson and report.json have it all. */
function lastChanges({ gate }: Report): string[] {
  const all = gate.changes.length + gate.leftOut;
  const last = gate.changes.at(-1);
  if (last === undefined) return [];
  return [`  gate     ${describeChange(last)}${all > 1 ? ` (the last of ${counted(all, 'change')})` : ''}`];
}
