import type { Log, Report } from '../../contract/index.js';
import type { Redactor } from '../redact.js';

/** Where lines go: to the function's log. Not by console.log, before whose lines Lambda puts its own words. */
export type Write = (line: string) => void;

/** What is logged of a run, a JSON object a line, without secrets. */
export interface RunLog extends Log {
  /** The report: one line, from which CloudWatch takes metrics as well. */
  report(report: Report, said: Said): void;
}

/** What the report does not know. */
interface Said {
  /** Names the metrics' dimension: the job's name, else the function's. */
  readonly load: string;
  readonly requestId: string;
  readonly continued: boolean;
}

/** Figures that become metrics, with CloudWatch's units. */
const metrics = [
  ['read', 'Count'],
  ['written', 'Count'],
  ['unchanged', 'Count'],
  ['duplicate', 'Count'],
  ['rejected', 'Count'],
  ['skipped', 'Count'],
  ['bytes', 'Bytes'],
  ['seconds', 'Seconds'],
  ['retries', 'Count'],
  ['failed', 'Count'],
  ['continued', 'Count'],
] as const;

/** Warnings are always logged; what else there is to say with `verbose`. */
export function runLog(write: Write, redactor: Redactor, verbose: boolean): RunLog {
  const line = (level: string, message: string, fields: object) =>
    write(`${redactor.clean(JSON.stringify({ level, time: new Date().toISOString(), message, ...fields }))}\n`);
  const quiet = () => {};
  return {
    debug: verbose ? (fields, message) => line('debug', message, fields) : quiet,
    info: verbose ? (fields, message) => line('info', message, fields) : quiet,
    warn: (fields, message) => line('warn', message, fields),
    report: (report, said) => line('info', 'the load has ended', { ...embedded(), ...figures(report, said) }),
  };
}

function figures(report: Report, { load, requestId, continued }: Said): object {
  return {
    load,
    requestId,
    ...report,
    failed: report.error === null || report.error.code === 'job-held' ? 0 : 1,
    continued: continued ? 1 : 0,
  };
}

/**
 * What tells CloudWatch which members of the line are metrics
 * (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
 */
function embedded(): object {
  const Metrics = metrics.map(([Name, Unit]) => ({ Name, Unit }));
  return {
    _aws: { Timestamp: Date.now(), CloudWatchMetrics: [{ Namespace: 'Sluice', Dimensions: [['load']], Metrics }] },
  };
}
