import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Batch, Context, Log, ReadContext, Report, RunStatus, WriteResult } from '../contract/index.js';
import { SluiceError } from '../errors.js';
import { fixed } from '../gate/fixed.js';
import { Limiter } from '../gate/limiter.js';
import { RejectFile } from '../rejects/reject-file.js';
import { Tally } from '../telemetry/tally.js';
import { type Arrival, Batcher } from './batcher.js';
import { ByteChannel } from './channel.js';
import { Coverage } from './coverage.js';
import { dispatch } from './dispatch.js';
import { LoadError } from './load-error.js';
import { type ColumnSpec, compileKey } from './mapping.js';
import { checkOptions, type DryRun, type LoadOptions, type Settings } from './options.js';
import { jobId, type Prepared, prepare } from './prepare.js';
import { readSource } from './reader.js';
import { writeReport } from './report.js';
import { Stop } from './stop.js';
import { writeBatch } from './writer.js';

/** Bytes that may lie between reader and batcher. */
const channelBytes = 8 * 1024 * 1024;
/** Bytes a batch at most; a sink may ask for less. */
const batchBytes = 1024 * 1024;
/** Milliseconds a row waits for others of its batch. */
const batchAge = 250;
/** A batch that meets a fault of the moment is tried again for a minute. */
const backoff = { first: 50, longest: 2_000, total: 60_000 };
/** Milliseconds that batches in flight are given to end once another has failed for good. */
const grace = 5_000;
const progressEvery = 100;

/**
 * Moves all records of `source` into `sink`; both are disposed at the end, whatever happened.
 * Resolves when every record is accounted for (`complete`, `complete-with-rejects`), or when `drain` asked it to stop
 * (`interrupted`). Throws LoadError otherwise: `failed`, `too-many-rejects`, `incomplete` (the source could not be
 * proven to have been read whole), or `interrupted` by `signal`.
 */
export async function load(options: LoadOptions): Promise<Report> {
  await using run = new Run(options);
  return await run.load();
}

/**
 * Reads a sample of at most 1,000 records, matches it with the target, and says what `load` would do. Nothing is
 * changed. Source and sink are disposed at the end.
 */
export async function dryRun(options: LoadOptions): Promise<DryRun> {
  await using run = new Run(options);
  return await run.plan();
}

/** One load from its first record to its report. */
class Run {
  readonly #options: LoadOptions;
  readonly #settings: Settings;
  readonly #stop: Stop;
  readonly #context: Context;
  readonly #tally = new Tally();
  readonly #coverage = new Coverage();
  readonly #startedAt = new Date();
  #limiter: Limiter;
  #rejects: RejectFile | undefined;
  /** Reading was ended before the source had. */
  #cutShort = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#settings = checkOptions(options);
    this.#stop = new Stop(options.signal, options.drain);
    this.#limiter = new Limiter(fixed(this.#settings.workers));
    this.#context = {
      run: newRunId(this.#startedAt),
      job: jobId(options.source, options.sink),
      epoch: 1,
      signal: this.#stop.writing,
      log: options.log ?? silent,
    };
  }

  async load(): Promise<Report> {
    const { onProgress } = this.#options;
    const progress = () => onProgress?.(this.#tally.snapshot(this.#limiter.inFlight, this.#limiter.limit));
    const ticking = setInterval(progress, progressEvery);
    try {
      await this.#openRunFolder();
      await this.#move();
    } catch (error) {
      this.#stop.halt(error, 0);
    } finally {
      clearInterval(ticking);
      await this.#rejects?.[Symbol.asyncDispose]();
    }
    progress();
    return await this.#end();
  }

  async plan(): Promise<DryRun> {
    const { source, sink, columns } = this.#options;
    const { sampled, plan } = await this.#prepare();
    this.#stop.endReading();
    return {
      job: this.#context.job,
      source: source.identity,
      sink: sink.identity,
      columns: plan.columns.map((column) => ({ column, from: describeColumn(column, columns) })),
      sampled,
      workers: this.#workers(plan.free),
      statements: plan.statements,
      notes: plan.notes,
    };
  }

  /** Reads, writes, and leaves the outcome in the figures and in what stopped it. */
  async #move(): Promise<void> {
    const { sink } = this.#options;
    const prepared = await this.#prepare();
    for (const note of prepared.plan.notes) this.#context.log.info({}, note);
    // Nothing was read, and so no column is known: there is nothing to make ready.
    if (prepared.plan.columns.length === 0) {
      this.#cutShort = this.#stop.reading.aborted;
      return;
    }
    await sink.open(this.#context);
    this.#limiter = new Limiter(fixed(this.#workers(prepared.plan.free)));
    try {
      await this.#pump(prepared);
    } catch (error) {
      this.#stop.halt(error, grace);
    }
    await sink.finish(this.#status(), this.#context);
  }

  #prepare(): Promise<Prepared> {
    const { source, sink, columns, ignoreExtra = false } = this.#options;
    const reading: ReadContext = {
      ...this.#context,
      signal: this.#stop.reading,
      limit: this.#settings.limit,
      keyOf: sink.key && sink.key.length > 0 ? compileKey(columns, sink.key) : undefined,
      problem: (problem) => {
        this.#tally.problem(problem);
        this.#context.log.warn(problem, problem.message);
      },
    };
    return prepare(readSource(source, reading, this.#tally), sink, columns, ignoreExtra, this.#context);
  }

  async #pump({ arrivals, mapper, textual }: Prepared): Promise<void> {
    const { traits } = this.#options.sink;
    const channel = new ByteChannel<Arrival>(channelBytes);
    const batcher = new Batcher(channel, mapper, textual, {
      rows: Math.min(this.#settings.batchRows, traits.maxBatchRows),
      bytes: Math.min(batchBytes, traits.maxBatchBytes),
      age: batchAge,
    });
    const fed = this.#feed(arrivals, channel);
    await dispatch(
      batcher,
      this.#limiter,
      this.#stop.dispatching,
      (batch) => this.#write(batch),
      (error) => this.#stop.halt(error, grace),
    );
    await fed;
    this.#context.log.info({ cuts: batcher.cuts }, 'batches were cut');
  }

  async #feed(arrivals: AsyncIterable<Arrival>, channel: ByteChannel<Arrival>): Promise<void> {
    try {
      for await (const arrival of arrivals) {
        await channel.put(arrival, this.#stop.dispatching);
        const { split, from, rows } = arrival.chunk.span;
        this.#tally.read += rows;
        this.#coverage.read(split, from + rows);
      }
      this.#cutShort = this.#stop.reading.aborted;
      channel.close();
    } catch (error) {
      this.#cutShort = true;
      if (this.#stop.reading.aborted) channel.close();
      else channel.fail(error);
    }
  }

  #write(batch: Batch): Promise<void> {
    return writeBatch(this.#options.sink, batch, this.#context, backoff, {
      settled: (part, result) => this.#settled(part, result),
      retried: (error, attempt, throttled) => {
        this.#tally.retries += 1;
        this.#context.log.warn(
          { error: String(error), attempt, throttled, rows: batch.rows },
          'a batch is tried again',
        );
      },
    });
  }

  #settled(part: Batch, result: WriteResult): void {
    this.#tally.settled(part, result);
    this.#coverage.settle(part.spans);
    this.#rejects?.append(result.rejects);
    const { rejected, read } = this.#tally;
    if (this.#settings.budget.exceeded(rejected, read)) this.#stop.halt(new TooManyRejects(rejected, read), grace);
  }

  #workers(free: number | undefined): number {
    const { workers } = this.#settings;
    if (free === undefined || workers <= free) return workers;
    this.#context.log.info({ workers, free }, 'fewer workers than asked for: the target has no more connections free');
    return Math.max(1, free);
  }

  async #openRunFolder(): Promise<void> {
    const { runDir } = this.#options;
    if (runDir === undefined) return;
    const failed = (error: unknown) => {
      const message = `the run folder ${runDir} can't be written: ${messageOf(error)}`;
      this.#tally.problem({ name: 'run-folder', message, incomplete: false });
      this.#context.log.warn({}, message);
    };
    this.#rejects = new RejectFile(join(runDir, 'rejects.ndjson'), failed);
    try {
      await mkdir(runDir, { recursive: true });
      await this.#rejects.clear();
    } catch (error) {
      failed(error);
    }
  }

  #status(): RunStatus {
    const { cause } = this.#stop;
    if (this.#options.signal?.aborted && cause !== undefined) return 'interrupted';
    if (cause instanceof TooManyRejects) return 'too-many-rejects';
    if (cause !== undefined) return 'failed';
    if (this.#cutShort) return 'interrupted';
    if (this.#tally.problems.some((problem) => problem.incomplete)) return 'incomplete';
    return this.#tally.rejected > 0 ? 'complete-with-rejects' : 'complete';
  }

  async #end(): Promise<Report> {
    const { runDir } = this.#options;
    if (this.#stop.cause === undefined) this.#reconcile();
    const report = this.#report();
    if (runDir !== undefined) await writeReport(report, runDir, this.#context.log);
    this.#context.log.info(report, 'the run has ended');
    if (report.error === null) return report;
    throw new LoadError(report.error.code, report.error.message, report, { cause: this.#stop.cause });
  }

  /** Every record read is in one of the figures, and every row settled once: else the run has failed. */
  #reconcile(): void {
    const { lost, doubled } = this.#coverage.faults;
    if (lost === 0 && doubled === 0 && this.#tally.reconciled) return;
    const { read, written, unchanged, duplicate, rejected } = this.#tally;
    const figures = `read ${read}, written ${written}, unchanged ${unchanged}, duplicate ${duplicate}, rejected ${rejected}, never settled ${lost}, settled twice ${doubled}`;
    const message = `the figures do not add up (${figures}): this is a fault in Sluice, please report it`;
    this.#stop.halt(new SluiceError('not-reconciled', message), 0);
  }

  #report(): Report {
    const { source, sink, runDir } = this.#options;
    const { read, written, unchanged, duplicate, rejected, bytes, seconds, batches, retries, problems } = this.#tally;
    const status = this.#status();
    return {
      status,
      run: this.#context.run,
      job: this.#context.job,
      source: source.identity,
      sink: sink.identity,
      guarantee: sink.traits.guarantee,
      read,
      written,
      unchanged,
      duplicate,
      rejected,
      skipped: 0,
      bytes,
      seconds: Math.round(seconds * 1000) / 1000,
      batches,
      retries,
      workers: this.#limiter.limit,
      problems,
      runDir: runDir ?? null,
      rejectsFile: this.#rejects?.whole ? this.#rejects.path : null,
      startedAt: this.#startedAt.toISOString(),
      endedAt: new Date().toISOString(),
      error: this.#error(status),
    };
  }

  #error(status: RunStatus): Report['error'] {
    const { cause } = this.#stop;
    if (cause !== undefined) {
      const code = status === 'interrupted' ? 'interrupted' : cause instanceof SluiceError ? cause.code : 'unexpected';
      return { code, message: messageOf(cause) };
    }
    if (status !== 'incomplete') return null;
    const unproven = this.#tally.problems.filter((problem) => problem.incomplete);
    const message = `the source could not be proven to have been read whole: ${unproven.map(({ message }) => message).join('; ')}`;
    return { code: 'incomplete', message };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop[Symbol.dispose]();
    const { source, sink } = this.#options;
    const closed = await Promise.allSettled([source[Symbol.asyncDispose](), sink[Symbol.asyncDispose]()]);
    const errors = closed.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    if (errors.length > 0) throw new AggregateError(errors, 'closing the source or the sink failed');
  }
}

class TooManyRejects extends SluiceError {
  constructor(rejected: number, read: number) {
    super(
      'too-many-rejects',
      `${rejected} of ${read} records read so far were rejected: more than allowed. See the rejects, mend the source or the table, or raise max errors`,
    );
  }
}

const silent: Log = { debug() {}, info() {}, warn() {} };

/** Sorts by time, and is unique enough to name a folder. */
function newRunId(at: Date): string {
  return `${at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}-${randomBytes(3).toString('hex')}`;
}

function describeColumn(column: string, columns: LoadOptions['columns']): string {
  if (columns === undefined) return column;
  if (typeof columns === 'function') return 'a function';
  const spec: ColumnSpec = columns[column] ?? column;
  if (typeof spec === 'string') return spec;
  return 'value' in spec ? `the constant ${JSON.stringify(spec.value)}` : (spec.from ?? column);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
