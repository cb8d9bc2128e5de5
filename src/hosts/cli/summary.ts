import type { Report, RunStatus } from '../../contract/index.js';
import type { DryRun } from '../../flow/options.js';
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
export function summarize(report: Report): string {
  const perSecond = report.seconds > 0 ? `, ${count(report.read / report.seconds)} rows/s` : '';
  const lines = [
    `${heads[report.status]}: ${counted(report.read, 'record')} (${size(report.bytes)}) in ${duration(report.seconds)}${perSecond}`,
    `  read ${count(report.read)} = written ${count(report.written)} + unchanged ${count(report.unchanged)}` +
      ` + duplicate ${count(report.duplicate)} + rejected ${count(report.rejected)} + skipped ${count(report.skipped)}`,
    `  from     ${report.source}`,
    `  into     ${report.sink} (${report.guarantee})`,
    `  with     ${counted(report.batches, 'batch', 'batches')}, at most ${count(report.workers)} at once, ${counted(report.retries, 'retry', 'retries')}`,
    ...report.problems.map(
      (problem) =>
        `  problem  ${problem.name}${problem.count > 1 ? ` (${count(problem.count)} times)` : ''}: ${problem.message}`,
    ),
  ];
  if (report.rejectsFile !== null) lines.push(`  rejects  ${report.rejectsFile}`);
  if (report.runDir !== null) lines.push(`  folder   ${report.runDir}`);
  return lines.join('\n');
}

/** What a load would do, for a person. */
export function describeDryRun(plan: DryRun): string {
  const widest = Math.max(0, ...plan.columns.map(({ column }) => column.length));
  const lines = [
    `Dry run: nothing was changed. ${counted(plan.sampled, 'record')} sampled.`,
    '',
    `from     ${plan.source}`,
    `into     ${plan.sink}`,
    `workers  ${count(plan.workers)} at most`,
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
