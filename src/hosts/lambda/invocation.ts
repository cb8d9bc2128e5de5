import type { Report } from '../../contract/index.js';
import { SluiceError } from '../../errors.js';
import { load } from '../../flow/load.js';
import { LoadError } from '../../flow/load-error.js';
import type { LoadOptions } from '../../flow/options.js';
import { release } from '../../flow/release.js';
import type { Job } from '../../job/job.js';
import { type PreparedJob, prepare } from '../../job/prepare.js';
import { fileLedger } from '../../ledger/file-ledger.js';
import { sinks } from '../../registry.js';
import type { LambdaContext } from './context.js';
import type { LoadEvent } from './event.js';
import type { RunLog } from './log.js';
import type { Result } from './result.js';
import { type WhichRun, whichRun } from './which-run.js';

/** The answer is on its way when so many milliseconds are left, whatever a load that does not end is waiting for. */
const lastMoment = 100;
/** After so many invocations in a row that wrote nothing there is no sense in another. */
const mostIdle = 5;

type Prepared = PreparedJob & Pick<LoadOptions, 'ledger'>;

/** One load within one invocation. */
export class Invocation {
  readonly #job: Job;
  readonly #event: LoadEvent;
  readonly #name: string;
  readonly #context: LambdaContext;
  readonly #log: RunLog;
  #ended: Promise<unknown> = Promise.resolve();
  /** The run, once the ledger has it. */
  #begun: string | undefined;

  /** `name` is what the load is called in metrics. */
  constructor(job: Job, event: LoadEvent, name: string, context: LambdaContext, log: RunLog) {
    this.#job = job;
    this.#event = event;
    this.#name = name;
    this.#context = context;
    this.#log = log;
  }

  /** Resolves when the load has let go of everything, be it long after the answer. */
  get ended(): Promise<unknown> {
    return this.#ended;
  }

  async run(): Promise<Result> {
    const prepared = { ...(await prepare(this.#job, { keepConnections: true })), ...(await ledgerOf(this.#job)) };
    const ledger = prepared.sink.ledger ?? prepared.ledger;
    let which: WhichRun | undefined;
    const time = AbortSignal.timeout(Math.max(0, this.#left() - lastMoment));
    try {
      which = await whichRun(prepared, ledger, this.#event, time);
    } catch (error) {
      if (!time.aborted) throw error;
      this.#log.warn({}, 'the time was over before the target had told where its last run stands');
      return this.#goOn(null);
    } finally {
      // Where there will be no load to do so.
      if (which === undefined || which.kind === 'done') await release(undefined, prepared.source, prepared.sink);
    }
    if (which.kind === 'done') return { status: which.status, run: which.run, report: null };
    if (which.kind === 'go on') this.#begun = which.run;
    return await this.#load(prepared, which, ledger !== undefined);
  }

  async #load(prepared: Prepared, which: Exclude<WhichRun, { kind: 'done' }>, kept: boolean): Promise<Result> {
    const abandon = new AbortController();
    const loading = settled(
      load({
        ...prepared,
        run: which.run,
        resume: which.kind === 'go on' ? which.run : false,
        remaining: () => this.#left(),
        signal: abandon.signal,
        log: this.#log,
        onBegin: ({ run }) => {
          this.#begun = run;
        },
      }),
    );
    this.#ended = loading.catch(() => {});
    const ended = await this.#inTime(loading);
    if (ended === undefined) {
      const late = new SluiceError(
        'out-of-time',
        'the load did not end in time, and was abandoned; what was committed stays',
      );
      abandon.abort(late);
      this.#log.warn({ run: this.#begun }, late.message);
      if (!kept) throw late;
      return this.#goOn(null);
    }
    const { report, error } = ended;
    const goesOn = error === undefined && report.status === 'interrupted';
    this.#log.report(report, { load: this.#name, requestId: this.#context.awsRequestId, continued: goesOn });
    if (error?.code === 'job-held') return { status: 'held', message: error.message, next: this.#event };
    if (error !== undefined) throw error;
    if (!goesOn) {
      const status = report.status === 'complete-with-rejects' ? report.status : 'complete';
      return { status, run: report.run, report };
    }
    if (kept) return this.#goOn(report);
    throw new SluiceError(
      'no-continuation',
      `the time was over after ${report.read} records, and the load can't be gone on with, for it keeps no ledger: give the function more time, or the job a ledger`,
    );
  }

  /** Undefined when the last moment came first. */
  async #inTime<Value>(work: Promise<Value>): Promise<Value | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), Math.max(0, this.#left() - lastMoment));
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #goOn(report: Report | null): Result {
    const { job, parameters, idle = 0, ...named } = this.#event;
    const fruitless = report !== null && report.batches > 0 ? 0 : idle + 1;
    if (fruitless >= mostIdle) {
      throw new SluiceError(
        'no-progress',
        `${fruitless} invocations in a row wrote nothing before their time was over: give the function more time, or the job a smaller batchSize`,
      );
    }
    const next = {
      ...(job !== undefined && { job }),
      ...(parameters !== undefined && { parameters }),
      ...(this.#begun !== undefined ? { continue: this.#begun } : named),
      ...(fruitless > 0 && { idle: fruitless }),
    };
    return { status: 'continue', run: this.#begun ?? null, next, report };
  }

  #left(): number {
    return this.#context.getRemainingTimeInMillis();
  }
}

/** How a load ended that left a report. Rejects when it left none. */
async function settled(loading: Promise<Report>): Promise<{ readonly report: Report; readonly error?: LoadError }> {
  try {
    return { report: await loading };
  } catch (error) {
    if (error instanceof LoadError) return { report: error.report, error };
    throw error;
  }
}

/** A folder of the function itself is gone with it: where the job names none that lasts, such as one on EFS, there is no ledger. */
async function ledgerOf({ sink, ledger }: Job): Promise<Pick<LoadOptions, 'ledger'>> {
  if (typeof ledger !== 'string' || (await sinks[sink.name]!()).keepsLedger) return {};
  return { ledger: fileLedger(ledger) };
}
