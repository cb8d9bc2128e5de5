import type { Report } from '../../contract/index.js';
import { dryRun, load } from '../../flow/load.js';
import { LoadError } from '../../flow/load-error.js';
import type { LoadOptions } from '../../flow/options.js';
import { jobId } from '../../flow/prepare.js';
import { newRunName } from '../../flow/run-name.js';
import type { Job } from '../../job/job.js';
import { type PreparedJob, prepare } from '../../job/prepare.js';
import { fileLedger } from '../../ledger/file-ledger.js';
import { sinks } from '../../registry.js';
import { keepHeapLean } from '../lean-heap.js';
import { startDisplay } from './display.js';
import { exitCode, exitCodes } from './exit-code.js';
import { explain } from './explain.js';
import { serveHealth } from './health.js';
import { findPrediction } from './predictions.js';
import { defaultRunDir, makeRunDir } from './run-folder.js';
import { logLevel, openRunLog } from './run-log.js';
import { readSavedJob, saveJob, type WrittenJob } from './saved-job.js';
import { watchSignals } from './signals.js';
import { describeDryRun, summarize } from './summary.js';
import type { Terminal } from './terminal.js';

/** Of sinks that keep none themselves. */
export const defaultLedger = '.sluice/ledger';

/** How a run is to be begun and seen, apart from what it does. */
export interface RunSettings {
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly runDir?: string;
  /** As in LoadOptions. */
  readonly resume?: boolean | string;
  readonly force?: boolean;
  readonly wait?: boolean;
  /** Where it is told how the run goes; as typed. Default: SLUICE_HEALTH_PORT, or nowhere. */
  readonly healthPort?: string;
}

/** What a host knows of a job besides the job. */
export interface Background {
  /** Kept in the run's folder for a resume. */
  readonly written?: WrittenJob;
  /** Said after an error, when there is something to say. */
  hint?(error: LoadError): string | undefined;
}

/** Runs a job for a user at a terminal. Gives the exit code; errors that left no report are thrown. */
export async function runJob(
  job: Job,
  settings: RunSettings,
  terminal: Terminal,
  { written, hint }: Background,
): Promise<number> {
  terminal.redactor.learn(job);
  if (settings.dryRun) return plan(job, settings, terminal);
  using interruption = watchSignals((text) => {
    if (!settings.quiet) terminal.say(text);
  });
  const { report, error, resumed } = await runLoad(job, settings, terminal, interruption, written);
  if (!settings.quiet) terminal.say(summarize(report, resumed));
  if (error) {
    terminal.complain(error, exitCode(report) === exitCodes.crashed);
    const advice = hint?.(error);
    if (advice !== undefined) terminal.say(advice);
  }
  const wayOn = settings.quiet ? undefined : howToGoOn(report);
  if (wayOn !== undefined) terminal.say(wayOn);
  if (settings.json) terminal.print(JSON.stringify(report));
  return exitCode(report);
}

/** Of a run that did not come to its end and whose folder keeps the job: the command that goes on with it. */
function howToGoOn({ status, run, runDir }: Report): string | undefined {
  if (runDir === null || (status !== 'interrupted' && status !== 'failed')) return undefined;
  if (!keepsJob(runDir, run)) return undefined;
  return `To go on where it stopped: sluice resume ${/[^\w./\\:-]/.test(runDir) ? `'${runDir}'` : runDir}`;
}

function keepsJob(folder: string, run: string): boolean {
  try {
    return readSavedJob(folder)?.run === run;
  } catch {
    return false;
  }
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
  /** Whether it went on with what an earlier part had begun. */
  readonly resumed: boolean;
}

/**
 * Loads with a run folder, its log and the live line. The folder keeps the job as it was `written`, for a resume. Errors
 * that left no report are thrown.
 */
export async function runLoad(
  job: Job,
  settings: RunSettings,
  terminal: Terminal,
  stop: Pick<LoadOptions, 'drain' | 'signal'>,
  written?: WrittenJob,
): Promise<Outcome> {
  await using health = await serveHealth(settings.healthPort ?? process.env.SLUICE_HEALTH_PORT);
  if (health.port !== undefined && !settings.quiet) terminal.say(`health: http://127.0.0.1:${health.port}/health`);
  const prepared = { ...(await prepare(job)), ...(await ledgerOf(job)) };
  const { run, resume } = await whichRun(prepared, settings.resume ?? false, stop);
  const warn = (text: string) => terminal.say(`${terminal.paint('yellow', 'warning:')} ${text}`);
  const runDir = await makeRunDir(settings.runDir ?? defaultRunDir(run), warn);
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
  const predicted = await findPrediction(jobId(prepared.source, prepared.sink));
  let resumed = false;
  keepHeapLean();
  try {
    const report = await load({
      ...prepared,
      ...(runDir !== undefined && { runDir }),
      ...(runLog && { log: runLog.log }),
      ...(predicted && { predicted }),
      ...stop,
      run,
      resume,
      force: settings.force ?? false,
      wait: settings.wait ?? false,
      onBegin(begun) {
        resumed = begun.resumed;
        health.begun(begun.run);
        if (runDir !== undefined && written) keepJob(runDir, begun.run, written, terminal, warn);
      },
      onWait(message) {
        health.waiting();
        if (!settings.quiet) terminal.say(`waiting: ${message}`);
      },
      onProgress(snapshot) {
        health.update(snapshot);
        display.update(snapshot);
      },
    });
    health.ended(report.status);
    return { report, resumed };
  } catch (error) {
    health.ended(error instanceof LoadError ? error.report.status : 'failed');
    if (error instanceof LoadError) return { report: error.report, error, resumed };
    throw error;
  }
}

/** The account of what is loaded into a sink that keeps none itself. */
async function ledgerOf({ sink, ledger = defaultLedger }: Job): Promise<Pick<LoadOptions, 'ledger'>> {
  if (ledger === false || (await sinks[sink.name]!()).keepsLedger) return {};
  return { ledger: fileLedger(ledger) };
}

interface WhichRun {
  /** The name of the run that is gone on with, or for the one to be started. */
  readonly run: string;
  readonly resume: boolean | string;
}

/** Looks up the job's latest run where that is to be gone on with: its folder bears its name. */
async function whichRun(
  { source, sink, ledger = sink.ledger }: PreparedJob & Pick<LoadOptions, 'ledger'>,
  resume: boolean | string,
  stop: Pick<LoadOptions, 'drain' | 'signal'>,
): Promise<WhichRun> {
  if (typeof resume === 'string') return { run: resume, resume };
  const fresh = { run: newRunName(new Date()), resume };
  if (!resume || ledger === undefined) return fresh;
  const signals = [stop.drain, stop.signal].filter((signal) => signal !== undefined);
  try {
    const request = { job: jobId(source, sink), resume: 'latest' } as const;
    const found = await ledger.find(request, AbortSignal.any(signals));
    return found === undefined ? fresh : { run: found.run, resume: found.run };
  } catch (error) {
    // There will be no load to do so.
    await Promise.allSettled([source[Symbol.asyncDispose](), sink[Symbol.asyncDispose]()]);
    throw error;
  }
}

/** Without it the run can still be gone on with by giving the whole command again. */
function keepJob(
  folder: string,
  run: string,
  written: WrittenJob,
  terminal: Terminal,
  warn: (text: string) => void,
): void {
  try {
    saveJob(folder, run, written, (text) => terminal.redactor.clean(text) === text);
  } catch (error) {
    warn(`${folder} does not keep the job, so that "sluice resume" can't go on with it (${explain(error)}).`);
  }
}
