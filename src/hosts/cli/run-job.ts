import type { Report } from '../../contract/index.js';
import { dryRun, load } from '../../flow/load.js';
import { LoadError } from '../../flow/load-error.js';
import type { LoadOptions } from '../../flow/options.js';
import type { Job } from '../../job/job.js';
import { prepare } from '../../job/prepare.js';
import { startDisplay } from './display.js';
import { exitCode, exitCodes } from './exit-code.js';
import { defaultRunDir, makeRunDir } from './run-folder.js';
import { logLevel, openRunLog } from './run-log.js';
import { watchSignals } from './signals.js';
import { describeDryRun, summarize } from './summary.js';
import type { Terminal } from './terminal.js';

/** How a run is to be seen, apart from what it does. */
export interface RunSettings {
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly runDir?: string;
}

/** Runs a job for a user at a terminal. Gives the exit code; errors that left no report are thrown. */
export async function runJob(job: Job, settings: RunSettings, terminal: Terminal): Promise<number> {
  terminal.redactor.learn(job);
  if (settings.dryRun) return plan(job, settings, terminal);
  using interruption = watchSignals((text) => {
    if (!settings.quiet) terminal.say(text);
  });
  const { report, error } = await runLoad(job, settings, terminal, interruption);
  if (!settings.quiet) terminal.say(summarize(report));
  if (error) terminal.complain(error, exitCode(report) === exitCodes.crashed);
  if (settings.json) terminal.print(JSON.stringify(report));
  return exitCode(report);
}

async function plan(job: Job, settings: RunSettings, terminal: Terminal): Promise<number> {
  using interruption = watchSignals((text) => terminal.say(text));
  const signal = AbortSignal.any([interruption.drain, interruption.signal]);
  const found = await dryRun({ ...(await prepare(job)), signal });
  terminal.print(settings.json ? JSON.stringify({ status: 'dry-run', ...found }) : describeDryRun(found));
  return exitCodes.complete;
}

/** A run that left a report, well ended or not. */
export interface Outcome {
  readonly report: Report;
  readonly error?: LoadError;
}

/** Loads with a run folder, its log and the live line. Errors that left no report are thrown. */
export async function runLoad(
  job: Job,
  settings: RunSettings,
  terminal: Terminal,
  stop: Pick<LoadOptions, 'drain' | 'signal'>,
): Promise<Outcome> {
  const prepared = await prepare(job);
  const warn = (text: string) => terminal.say(`${terminal.paint('yellow', 'warning:')} ${text}`);
  const runDir = makeRunDir(settings.runDir ?? defaultRunDir(new Date()), warn);
  using runLog =
    runDir === undefined
      ? undefined
      : openRunLog({
          directory: runDir,
          level: logLevel(process.env),
          clean: (line) => terminal.redactor.clean(line),
          warn,
        });
  using display = await startDisplay(terminal, { quiet: settings.quiet ?? false, limit: job.limit });
  try {
    const report = await load({
      ...prepared,
      ...(runDir !== undefined && { runDir }),
      ...(runLog && { log: runLog.log }),
      ...stop,
      onProgress: (snapshot) => display.update(snapshot),
    });
    return { report };
  } catch (error) {
    if (error instanceof LoadError) return { report: error.report, error };
    throw error;
  }
}
