import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Source } from '../../contract/index.js';
import { ConfigError } from '../../errors.js';
import { jobId } from '../../flow/prepare.js';
import { newRunName } from '../../flow/run-name.js';
import type { Job } from '../../job/job.js';
import { prepare } from '../../job/prepare.js';
import { probe } from '../../sweep/probe.js';
import { exitCodes } from './exit-code.js';
import { explain } from './explain.js';
import { describePlan, type PlanResult } from './plan-words.js';
import { keepPrediction } from './predictions.js';
import { defaultRunDir, makeRunDir } from './run-folder.js';
import { readJobFile, secondsOf, withScratch } from './scratch.js';
import { stopAtOnce } from './signals.js';
import type { Terminal } from './terminal.js';

/** The flags of `sluice plan`; as typed. */
export interface PlanFlags {
  readonly within?: string;
  readonly seconds?: string;
  readonly runDir?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const sample = { rows: 200_000, bytes: 64 * 1024 * 1024, seconds: 5 };
/** Seconds a load at most. */
const usualSeconds = 3;

/** `sluice plan JOB`. Exits with 1 when the load is not sure to be done in time. */
export async function planCommand(path: string, flags: PlanFlags, terminal: Terminal): Promise<number> {
  const within = flags.within === undefined ? null : timeOf(flags.within);
  const seconds = flags.seconds === undefined ? usualSeconds : secondsOf(flags.seconds);
  const job = await readJobFile(path);
  terminal.redactor.learn(job);
  const say = (text: string) => {
    if (!flags.quiet) terminal.say(text);
  };
  await refuseOnce(job);
  using stop = stopAtOnce(say);
  const plan = await measure(job, { within, seconds, signal: stop.signal, say }, terminal);
  await keep(plan, flags, terminal);
  terminal.print(flags.json ? JSON.stringify(plan) : describePlan(plan));
  if (within !== null && plan.predicted === null) {
    throw new ConfigError(
      'unknown-total',
      '--within: how many records the source has is not known, so nobody can say. limit in the job says how many to take',
    );
  }
  return plan.fits === false ? exitCodes.completeWithRejects : exitCodes.complete;
}

interface Measuring {
  readonly within: number | null;
  readonly seconds: number;
  readonly signal: AbortSignal;
  say(text: string): void;
}

async function measure(job: Job, { within, seconds, signal, say }: Measuring, terminal: Terminal): Promise<PlanResult> {
  return await withScratch(
    job,
    sample,
    signal,
    terminal,
    async ({ prepared, writeSide, sample: taken, scratch, free }) => {
      const { source, sink, workers } = prepared;
      const probed = await probe({
        sample: taken,
        scratch,
        writeSide,
        workers,
        source: () => sourceOf(job),
        free,
        seconds,
        signal,
        onTrial: (what) => say(`measuring: ${what}`),
      });
      const predicted = probed.predicted && { ...probed.predicted, at: new Date().toISOString() };
      return {
        ...probed,
        status: 'plan',
        job: jobId(source, sink),
        source: source.identity,
        sink: sink.identity,
        free: Number.isFinite(free) ? free : null,
        predicted,
        within,
        fits: within === null || predicted === null ? null : predicted.most <= within,
      };
    },
  );
}

/** What is read to measure can't be read again by the load. */
async function refuseOnce(job: Job): Promise<void> {
  await using source = await sourceOf(job);
  if (source.once) {
    throw new ConfigError(
      'read-once',
      `${source.identity} can be read once only, and to plan is to read it: plan with a file, or measure with sluice sweep`,
    );
  }
}

/** A source of its own for each load, which disposes it. */
async function sourceOf(job: Job): Promise<Source> {
  const { source, sink } = await prepare(job);
  await sink[Symbol.asyncDispose]();
  return source;
}

/** Keeps the plan in its folder, and the prediction for the report of the next run. */
async function keep(plan: PlanResult, flags: PlanFlags, terminal: Terminal): Promise<void> {
  const warn = (text: string) => terminal.say(`${terminal.paint('yellow', 'warning:')} ${text}`);
  const folder = await makeRunDir(flags.runDir ?? defaultRunDir(newRunName(new Date())), warn);
  try {
    if (folder !== undefined) {
      await writeFile(join(folder, 'plan.json'), `${terminal.redactor.clean(JSON.stringify(plan, null, 2))}\n`);
    }
    if (plan.predicted !== null) await keepPrediction(plan.job, plan.predicted);
  } catch (error) {
    warn(`the plan could not be kept (${explain(error)}).`);
  }
}

/** `90`, `90s`, `15m`, `2h` or `1h30m`, as seconds. */
function timeOf(typed: string): number {
  const [, hours = '0', minutes = '0', seconds = '0'] =
    /^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?$/.exec(typed) ?? [];
  const time = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  if (time > 0) return time;
  throw new ConfigError('bad-usage', '--within: expected a time, such as 90s, 15m or 1h30m');
}
