import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  Batch,
  Checkpoint,
  Context,
  Gate,
  GateEvent,
  Ledger,
  Log,
  ReadContext,
  Report,
  RunRequest,
  RunStatus,
  Verified,
  WriteResult,
} from '../contract/index.js';
import { ConfigError, InDoubt, messageOf, SluiceError } from '../errors.js';
import { AdaptiveGate } from '../gate/adaptive.js';
import { Limiter, type Permit } from '../gate/limiter.js';
import { mayBeAlive, thisHolder } from '../ledger/holder.js';
import { progressOf, type SplitProgress } from '../ledger/progress.js';
import { RejectFile } from '../rejects/reject-file.js';
import { describeChange, GateRecord } from '../telemetry/gate-record.js';
import { Tally } from '../telemetry/tally.js';
import { SlicedBatch } from './batch.js';
import { type Arrival, Batcher } from './batcher.js';
import { begin } from './begin.js';
import { ByteChannel } from './channel.js';
import { Coverage } from './coverage.js';
import { Deadline } from './deadline.js';
import { dispatch } from './dispatch.js';
import { gateOptions, throttleReason, type Workers, workersFor } from './gate.js';
import { startHeart } from './heartbeat.js';
import { KeyOrder } from './key-order.js';
import { LoadError } from './load-error.js';
import { compileKey, describeColumn } from './mapping.js';
import { checkOptions, type DryRun, type LoadOptions, type Settings } from './options.js';
import { jobId, type Prepared, prepare, sampleRows } from './prepare.js';
import { listSplits, readSource } from './reader.js';
import { TooManyRejects } from './reject-budget.js';
import { release } from './release.js';
import { reportOf, writeReport } from './report.js';
import { refuseChanged, unsettled } from './resume.js';
import { newRunName } from './run-name.js';
import { outOfTime, Stop } from './stop.js';
import { Verification, verifyFault } from './verify.js';
import { writeBatch } from './writer.js';

const mebibyte = 1024 * 1024;
/** Bytes that may lie between reader and batcher. */
const channelBytes = 4 * mebibyte;
/** Milliseconds a row waits for others of its batch. */
const batchAge = 250;
/** A batch that meets a fault of the moment is tried again for a minute. */
const backoff = { first: 50, longest: 2_000, total: 60_000 };
/** Milliseconds that batches in flight are given to end once another has failed for good. */
const grace = 5_000;
const progressEvery = 100;
/** Milliseconds between signs of life; a third of the ledger's lease. */
const heartbeatEvery = 5_000;

/**
 * Moves all records of `source` into `sink`; both are disposed at the end, whatever happened.
 * Resolves when every record is accounted for (`complete`, `complete-with-rejects`), or when `drain` asked it to stop or its
 * time was over (`interrupted`).
 * @throws ConfigError when an option is wrong: nothing was read, and there is no report.
 * @throws LoadError in every other case, with the report, whose status is `failed`, `too-many-rejects`, `incomplete` (the
 * source could not be proven to have been read whole), or `interrupted` (by `signal`). Its code is that of the error that
 * ended the run, which is its cause.
 */
export async function load(options: LoadOptions): Promise<Report> {
  const run = await newRun(options);
  return await run.load();
}

/**
 * Reads a sample of at most 1,000 records, matches it with the target, and says what `load` would do. Nothing is
 * changed. Source and sink are disposed at the end.
 * @throws ConfigError, SourceError or SinkError as `load` would meet it.
 */
export async function dryRun(options: LoadOptions): Promise<DryRun> {
  const run = await newRun(options);
  return await run.plan();
}

async function newRun(options: LoadOptions): Promise<Run> {
  try {
    return new Run(options, checkOptions(options));
  } catch (error) {
    await release(undefined, options?.source, options?.sink);
    throw error;
  }
}

/** One load from its first record to its report. */
class Run {
  readonly #options: LoadOptions;
  readonly #settings: Settings;
  readonly #stop: Stop;
  #context: Context;
  readonly #tally = new Tally();
  #coverage = new Coverage();
  /** What an earlier part of the run settled. */
  #before: ReadonlyMap<string, SplitProgress> = new Map();
  /** Rows in front of the points from which reading goes on. */
  #passedUnread = 0;
  readonly #startedAt = new Date();
  /** By the clock of the gate. */
  readonly #startedAtMs = performance.now();
  #gate: Gate;
  #limiter: Limiter;
  #gateRecord: GateRecord;
  #rejects: RejectFile | undefined;
  /** What is being read; to be ended even where nobody came to take it. */
  #arrivals: AsyncGenerator<Arrival, void, void> | undefined;
  /** onProgress has thrown. */
  #mute = false;
  /** Reading was ended before the source had. */
  #cutShort = false;
  readonly #deadline: Deadline | undefined;
  readonly #verification: Verification | undefined;
  #verified: Verified | undefined;
  #readAgain: () => AsyncIterable<Arrival> = noArrivals;

  constructor(options: LoadOptions, settings: Settings) {
    this.#options = options;
    this.#settings = settings;
    this.#verification = Verification.of(options.verify ?? 'none', options.source, options.sink);
    this.#stop = new Stop(options.signal, options.drain);
    if (options.remaining !== undefined) this.#deadline = new Deadline(options.remaining, this.#stop);
    const workers = workersFor(settings);
    this.#gateRecord = new GateRecord(workers.start, this.#startedAtMs);
    this.#gate = new AdaptiveGate(gateOptions(settings, workers, options.sink.traits, noEvent));
    this.#limiter = new Limiter(this.#gate);
    this.#context = {
      run: options.run ?? newRunName(this.#startedAt),
      job: jobId(options.source, options.sink),
      epoch: 0,
      signal: this.#stop.writing,
      log: options.log ?? silent,
    };
  }

  async load(): Promise<Report> {
    const ticking = setInterval(() => this.#show(), progressEvery);
    try {
      await this.#openRunFolder();
      await this.#move();
    } catch (error) {
      this.#stop.halt(error, 0);
    } finally {
      clearInterval(ticking);
      await this.#rejects?.[Symbol.asyncDispose]();
    }
    await this.#close();
    this.#show();
    return await this.#end();
  }

  async plan(): Promise<DryRun> {
    try {
      return await this.#plan();
    } finally {
      await this.#close();
    }
  }

  async #plan(): Promise<DryRun> {
    const { source, sink, columns } = this.#options;
    const { sampled, plan } = await this.#prepare();
    const workers = this.#workers(plan.free);
    return {
      job: this.#context.job,
      source: source.identity,
      sink: sink.identity,
      columns: plan.columns.map((column) => ({ column, from: describeColumn(column, columns) })),
      sampled: Math.min(sampled, sampleRows),
      workers: workers.start,
      maxWorkers: workers.most,
      statements: plan.statements,
      notes: plan.unmade === undefined ? plan.notes : [...plan.notes, plan.unmade],
    };
  }

  #show(): void {
    const { onProgress } = this.#options;
    if (onProgress === undefined || this.#mute) return;
    try {
      onProgress(
        this.#tally.snapshot(this.#limiter.inFlight, this.#limiter.limit, this.#gateRecord.latest(performance.now())),
      );
    } catch (error) {
      this.#mute = true;
      this.#context.log.warn({ error: String(error) }, 'onProgress threw, and is not called any more');
    }
  }

  /** What fails here can't undo what was committed: it is a problem of the report. */
  async #close(): Promise<void> {
    this.#deadline?.[Symbol.dispose]();
    this.#stop.endReading();
    const { source, sink } = this.#options;
    for (const error of await release(this.#arrivals, source, sink)) {
      const message = `the source or the sink could not be closed: ${messageOf(error)}`;
      this.#tally.problem({ name: 'close-failed', message, incomplete: false });
      this.#context.log.warn({ error: String(error) }, message);
    }
    this.#stop[Symbol.dispose]();
  }

  /** Reads, writes, and leaves the outcome in the figures and in what stopped it. */
  async #move(): Promise<void> {
    const { sink } = this.#options;
    const before = await this.#findBefore();
    const prepared = await this.#prepare(before);
    for (const note of prepared.plan.notes) this.#context.log.info({}, note);
    const nothingToWrite = prepared.plan.columns.length === 0;
    if (nothingToWrite && before === undefined) {
      // Nothing was read, and so no column is known: there is nothing to make ready.
      this.#cutShort = this.#stop.reading.aborted;
      const { unmade } = prepared.plan;
      if (unmade !== undefined) this.#tally.problem({ name: 'table-not-made', message: unmade, incomplete: false });
      await this.#clearRejects();
      return;
    }
    if (!nothingToWrite) await sink.open(this.#context);
    if (!(await this.#begin(prepared, before))) {
      this.#cutShort = true;
      return;
    }
    this.#openGate(this.#workers(prepared.plan.free));
    {
      using _heart = startHeart((signal) => this.#beat(signal), heartbeatEvery);
      try {
        await this.#verification?.begin(this.#context);
        await this.#pump(prepared);
        if (this.#stop.cause === undefined && !this.#stop.cutOff) this.#reconcile();
        if (this.#stop.cause === undefined && !this.#stop.cutOff && !this.#cutShort) await this.#verify(prepared);
      } catch (error) {
        this.#fail(error);
      }
    }
    await this.#ledger?.finish(this.#status(), this.#context, this.#coverage.settled);
  }

  get #ledger(): Ledger | undefined {
    return this.#options.sink.ledger ?? this.#options.ledger;
  }

  get #resume(): RunRequest['resume'] {
    const { resume = false } = this.#options;
    if (typeof resume === 'string') return { run: resume };
    return resume ? 'latest' : 'no';
  }

  /** What a resume goes on with, as far as can be seen before the run is taken over. */
  async #findBefore(): Promise<Checkpoint | undefined> {
    if (this.#resume === 'no') return undefined;
    if (this.#ledger === undefined) {
      throw new ConfigError('no-ledger', 'there is nothing to resume from: this load keeps no ledger');
    }
    return await this.#ledger.find({ job: this.#context.job, resume: this.#resume }, this.#stop.writing);
  }

  /**
   * Starts the run or takes it over. What is settled now stays so, and is what the reading goes by. False when another
   * holder was waited for, until reading was ended.
   */
  async #begin({ plan, fingerprints }: Prepared, before: Checkpoint | undefined): Promise<boolean> {
    if (this.#ledger === undefined) {
      this.#context = { ...this.#context, epoch: 1 };
      await this.#clearRejects();
      return true;
    }
    const { source, sink, wait = false, onWait, onBegin } = this.#options;
    const request: RunRequest = {
      run: this.#context.run,
      job: this.#context.job,
      // The one that was found, by which the reading goes, though another may be the latest by now.
      resume: before === undefined ? this.#resume : { run: before.run },
      source: source.identity,
      sink: sink.identity,
      holder: thisHolder(this.#context.run),
      mayBeAlive,
      columns: plan.columns,
      fingerprints,
    };
    const tell = ({ message }: SluiceError) => {
      this.#context.log.info({}, `waiting: ${message}`);
      onWait?.(message);
    };
    const waiting = { wait, until: this.#stop.reading, tell };
    const start = performance.now();
    const checkpoint = await begin(this.#ledger, request, waiting, this.#stop.writing);
    this.#deadline?.took(performance.now() - start);
    if (checkpoint === undefined) return false;
    this.#context = { ...this.#context, run: checkpoint.run, epoch: checkpoint.epoch };
    this.#before = progressOf(checkpoint.spans);
    this.#coverage = new Coverage(this.#before);
    this.#tally.goOnAfter(checkpoint.rejected);
    onBegin?.({ run: checkpoint.run, resumed: checkpoint.resumed });
    await this.#clearRejects();
    if (!checkpoint.resumed) return true;
    this.#context.log.info({ run: checkpoint.run, epoch: checkpoint.epoch }, 'the run is gone on with');
    for await (const reject of this.#ledger.rejects(checkpoint.run, this.#stop.writing)) {
      this.#rejects?.append([reject], checkpoint.run);
      this.#verification?.rejected([reject]);
    }
    return true;
  }

  async #beat(signal: AbortSignal): Promise<void> {
    try {
      await this.#ledger?.heartbeat({ ...this.#context, signal });
    } catch (error) {
      // A server that can't be reached is the batches' to find out; a run taken over is over.
      if (signal.aborted) return;
      const { sink } = this.#options;
      const over = sink.ledger === undefined ? error instanceof SluiceError : sink.classify(error) === 'fatal';
      if (over) this.#stop.halt(error, grace);
    }
  }

  async #prepare(before?: Checkpoint): Promise<Prepared> {
    const { source, sink, columns, ignoreExtra = false, force = false } = this.#options;
    await this.#findKey();
    const reading: ReadContext = {
      ...this.#context,
      signal: this.#stop.reading,
      limit: this.#settings.limit,
      ledger: this.#ledger,
      skipped: (rows) => this.#count(rows, rows),
      strict: before !== undefined && !sink.traits.rewrites && !force,
      keyOf: sink.key && sink.key.length > 0 ? compileKey(columns, sink.key) : undefined,
      problem: (problem) => {
        this.#tally.problem(problem);
        this.#context.log.warn(problem, problem.message);
      },
    };
    const splits = await listSplits(source, reading, this.#tally);
    // Stopped while the splits were listed, they are not all here; nothing will be read.
    if (before !== undefined && !force && !this.#stop.reading.aborted) refuseChanged(splits, before);
    const progress = progressOf(before?.spans ?? []);
    for (const [split, { point }] of progress) {
      this.#coverage.read(split, point?.row ?? 0);
      this.#passedUnread += point?.row ?? 0;
    }
    this.#arrivals = readSource(source, splits, progress, reading, this.#tally);
    // What is wrong with the source was told the first time.
    this.#readAgain = () =>
      readSource(source, splits, new Map(), { ...reading, strict: false, problem() {} }, new Tally());
    const known = before?.columns ?? [];
    return await prepare(this.#arrivals, splits, sink, columns, ignoreExtra, known, this.#context);
  }

  /** The source is to judge its first records by the key already, and that may be the target's own. */
  async #findKey(): Promise<void> {
    const { sink, ignoreExtra = false } = this.#options;
    if (sink.key !== undefined || !sink.traits.rewrites) return;
    await sink.plan({ columns: [], sample: [], textual: false, ignoreExtra }, this.#context);
  }

  async #pump({ arrivals, mapper }: Prepared): Promise<void> {
    const { traits, key } = this.#options.sink;
    const channel = new ByteChannel<Arrival>(channelBytes);
    const gate = this.#gate;
    const batcher = new Batcher(channel, mapper, {
      rows: Math.min(this.#settings.batchRows ?? Number.POSITIVE_INFINITY, traits.maxBatchRows),
      get bytes() {
        return gate.batchBytes;
      },
      age: batchAge,
    });
    const fed = this.#feed(arrivals, channel);
    await dispatch(
      batcher,
      this.#limiter,
      traits.rewrites && key && key.length > 0 ? new KeyOrder(key) : undefined,
      this.#stop.dispatching,
      (batch, permit) => this.#write(batch, permit),
      (error) => this.#fail(error),
    );
    await fed;
    this.#context.log.info({ cuts: batcher.cuts }, 'batches were cut');
  }

  #fail(error: unknown): void {
    // What became of a batch that was given up while it was committed, the ledger tells whoever goes on.
    const left = this.#stop.gaveUp && error instanceof InDoubt && this.#ledger !== undefined;
    this.#stop.halt(left ? outOfTime : error, grace);
  }

  async #feed(arrivals: AsyncIterable<Arrival>, channel: ByteChannel<Arrival>): Promise<void> {
    try {
      this.#count(this.#passedUnread, this.#passedUnread);
      for await (const arrival of arrivals) {
        const { split, from, rows } = arrival.chunk.span;
        this.#verification?.seen(arrival);
        let left = 0;
        for (const part of unsettled(arrival, this.#before.get(split)?.settled)) {
          await channel.put(part, this.#stop.dispatching);
          left += part.last - part.first;
        }
        arrival.lifetime?.settle(rows - left);
        this.#count(rows, rows - left);
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

  #count(read: number, passed: number): void {
    this.#tally.read += read;
    this.#tally.passed(passed);
  }

  async #write(batch: Batch, permit: Pick<Permit, 'setBack'>): Promise<void> {
    const start = performance.now();
    using _timed = this.#deadline?.batch();
    await writeBatch(this.#options.sink, batch, this.#context, backoff, {
      settled: (part, result) => this.#settled(part, result),
      retried: (error, attempt, throttled) => {
        this.#tally.retries += 1;
        permit.setBack(throttled ? throttleReason(error) : undefined);
        this.#context.log.warn(
          { error: String(error), attempt, throttled, rows: batch.rows },
          'a batch is tried again',
        );
      },
    });
    const ms = Math.round(performance.now() - start);
    this.#context.log.debug({ rows: batch.rows, bytes: batch.bytes, ms }, 'a batch is written');
  }

  async #settled(part: Batch, result: WriteResult): Promise<void> {
    const { sink, ledger } = this.#options;
    // Rows are durable by now. What is lost between them and this is written once more.
    if (sink.ledger === undefined) await ledger?.settle?.(part.spans, result.rejects, this.#context);
    this.#tally.settled(part, result);
    this.#coverage.settle(part.spans);
    this.#rejects?.append(result.rejects, part.replayOf ?? this.#context.run);
    this.#verification?.rejected(result.rejects);
    SlicedBatch.release(part);
    const { rejectedInAll: rejected, read } = this.#tally;
    if (this.#settings.budget.exceeded(rejected, read)) this.#stop.halt(new TooManyRejects(rejected, read), grace);
  }

  /** Reads back what was written: what is missing or different fails the run. */
  async #verify({ mapper }: Prepared): Promise<void> {
    const signal = this.#stop.reading;
    try {
      this.#verified = await this.#verification?.verify({
        mapper,
        readAgain: this.#readAgain,
        passedUnread: this.#passedUnread,
        once: this.#options.source.once ?? false,
        tally: this.#tally,
        context: { ...this.#context, signal },
      });
    } catch (error) {
      if (!signal.aborted) throw error;
      this.#cutShort = true;
    }
    const fault = this.#verified && verifyFault(this.#verified);
    if (fault) this.#stop.halt(fault, 0);
  }

  #workers(free: number | undefined): Workers {
    const asked = workersFor(this.#settings);
    const workers = workersFor(this.#settings, free);
    if (workers.start < asked.start) {
      const fields = { workers: asked.start, free };
      this.#context.log.info(fields, 'fewer workers than asked for: the target has no more connections free');
    }
    return workers;
  }

  #openGate(workers: Workers): void {
    this.#gateRecord = new GateRecord(workers.start, this.#startedAtMs);
    const onEvent = (event: GateEvent) => {
      const change = this.#gateRecord.add(event);
      const text = describeChange(change);
      if (event.kind === 'change') this.#context.log.info(change, text);
      else this.#context.log.debug(change, `tried, and taken back: ${text}`);
    };
    this.#gate = new AdaptiveGate(gateOptions(this.#settings, workers, this.#options.sink.traits, onEvent));
    this.#limiter = new Limiter(this.#gate);
    this.#context.log.info({ ...workers, batchBytes: this.#gate.batchBytes }, 'the gate is open');
  }

  async #openRunFolder(): Promise<void> {
    const { runDir } = this.#options;
    if (runDir === undefined) return;
    this.#rejects = new RejectFile(join(runDir, 'rejects.ndjson'), (error) => this.#folderFailed(error));
    await mkdir(runDir, { recursive: true }).catch((error: unknown) => this.#folderFailed(error));
  }

  /** Not before the run is ours: until then the folder may be another holder's, who is writing there. */
  async #clearRejects(): Promise<void> {
    await this.#rejects?.clear().catch((error: unknown) => this.#folderFailed(error));
  }

  #folderFailed(error: unknown): void {
    const message = `the run folder ${this.#options.runDir} can't be written: ${messageOf(error)}`;
    this.#tally.problem({ name: 'run-folder', message, incomplete: false });
    this.#context.log.warn({}, message);
  }

  #status(): RunStatus {
    const { cause } = this.#stop;
    if (this.#options.signal?.aborted && cause !== undefined) return 'interrupted';
    if (cause instanceof TooManyRejects) return 'too-many-rejects';
    if (cause !== undefined) return 'failed';
    if (this.#cutShort || this.#stop.cutOff) return 'interrupted';
    if (this.#tally.problems.some((problem) => problem.incomplete)) return 'incomplete';
    return this.#tally.rejectedInAll > 0 ? 'complete-with-rejects' : 'complete';
  }

  async #end(): Promise<Report> {
    const { source, sink, runDir, predicted } = this.#options;
    const report = reportOf({
      source,
      sink,
      runDir,
      context: this.#context,
      tally: this.#tally,
      status: this.#status(),
      cause: this.#stop.cause,
      gate: this.#gateRecord.report(this.#gate.batchBytes),
      verified: this.#verified,
      predicted,
      rejectsFile: this.#rejects?.whole ? this.#rejects.path : null,
      startedAt: this.#startedAt,
    });
    if (runDir !== undefined) await writeReport(report, runDir, this.#context.log);
    this.#context.log.info(report, 'the run has ended');
    if (report.error === null) return report;
    throw new LoadError(report.error.code, report.error.message, report, { cause: this.#stop.cause });
  }

  /** Every record read is in one of the figures, and every row settled once: else the run has failed. */
  #reconcile(): void {
    const { lost, doubled } = this.#coverage.faults;
    if (lost === 0 && doubled === 0 && this.#tally.reconciled) return;
    const { read, written, unchanged, duplicate, rejectedInAll, skipped } = this.#tally;
    const figures = `read ${read}, written ${written}, unchanged ${unchanged}, duplicate ${duplicate}, rejected ${rejectedInAll}, skipped ${skipped}, never settled ${lost}, settled twice ${doubled}`;
    const message = `the figures do not add up (${figures}): this is a fault in Sluice, please report it`;
    this.#stop.halt(new SluiceError('not-reconciled', message), 0);
  }
}

async function* noArrivals(): AsyncGenerator<never, void, void> {}

const noEvent = (): void => {};

const silent: Log = { debug() {}, info() {}, warn() {} };
