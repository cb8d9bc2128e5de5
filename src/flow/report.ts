import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context, GateReport, Log, Report, RunStatus, Sink, Source, Verified } from '../contract/index.js';
import { InDoubt, messageOf, SluiceError } from '../errors.js';
import type { Tally } from '../telemetry/tally.js';

/** Puts the report into the run's folder. A disk that refuses it costs a warning, not the run: the rows are committed. */
export async function writeReport(report: Report, folder: string, log: Log): Promise<void> {
  try {
    await writeFile(join(folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  } catch (error) {
    log.warn({ error: String(error) }, 'the report could not be written to the run folder');
  }
}

/** A run that is over. */
interface Ended {
  readonly source: Source;
  readonly sink: Sink;
  readonly runDir: string | undefined;
  readonly context: Context;
  readonly tally: Tally;
  readonly status: RunStatus;
  /** What stopped it hard; undefined when nothing did. */
  readonly cause: unknown;
  readonly gate: GateReport;
  readonly verified: Verified | undefined;
  /** Null when it is not whole, or there is none. */
  readonly rejectsFile: string | null;
  readonly startedAt: Date;
}

export function reportOf(ended: Ended): Report {
  const { source, sink, runDir, context, tally, status, verified } = ended;
  return {
    status,
    run: context.run,
    job: context.job,
    source: source.identity,
    sink: sink.identity,
    guarantee: sink.traits.guarantee,
    read: tally.read,
    written: tally.written,
    unchanged: tally.unchanged,
    duplicate: tally.duplicate,
    rejected: tally.rejectedInAll,
    skipped: tally.skipped,
    bytes: tally.bytes,
    seconds: Math.round(tally.seconds * 1000) / 1000,
    batches: tally.batches,
    retries: tally.retries,
    workers: ended.gate.workers.most,
    gate: ended.gate,
    problems: tally.problems,
    ...(verified && { verify: verified }),
    runDir: runDir ?? null,
    rejectsFile: ended.rejectsFile,
    startedAt: ended.startedAt.toISOString(),
    endedAt: new Date().toISOString(),
    error: errorOf(ended),
  };
}

function errorOf({ status, cause, tally }: Ended): Report['error'] {
  if (cause !== undefined) {
    const interrupted = status === 'interrupted' && !(cause instanceof InDoubt);
    const code = interrupted ? 'interrupted' : cause instanceof SluiceError ? cause.code : 'unexpected';
    return { code, message: messageOf(cause) };
  }
  if (status !== 'incomplete') return null;
  const unproven = tally.problems.filter((problem) => problem.incomplete).map(({ message }) => message);
  return {
    code: 'incomplete',
    message: `the source could not be proven to have been read whole: ${unproven.join('; ')}`,
  };
}
