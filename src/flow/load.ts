import { join } from 'node:path';
import type {
  Checkpoint,
  Context,
  Gate,
  GateEvent,
  ReadContext,
  Report,
  RunStatus,
  Verified,
} from '../contract/index.js';
import { InDoubt, messageOf, type SluiceError } from '../errors.js';
import { AdaptiveGate } from '../gate/adaptive.js';
import { Limiter } from '../gate/limiter.js';
import { progressOf, type SplitProgress } from '../ledger/progress.js';
import { makeFolder } from '../make-folder.js';
import { RejectFile } from '../rejects/reject-file.js';
import { describeChange, GateRecord } from '../telemetry/gate-record.js';
import { Tally } from '../telemetry/tally.js';
import type { Arrival } from './batcher.js';
import { Coverage } from './coverage.js';
import { Deadline } from './deadline.js';
import { gateOptions, type Workers, workersFor } from './gate.js';
import { HeldRun } from './held-run.js';
import { LoadError } from './load-error.js';
import { compileKey, describeColumn } from './mapping.js';
import { checkOptions, type DryRun, type LoadOptions, type Settings } from './options.js';
import { type Prepared, prepare, sampleRows } from './prepare.js';
import { pump } from './pump.js';
import { listSplits, readSource } from './reader.js';
import { reconcileFault } from './reconcile.js';
import { TooManyRejects } from './reject-budget.js';
import { release } from './release.js';
import { reportOf, writeReport } from './report.js';
import { refuseChanged } from './resume.js';
import { outOfTime, Stop } from './stop.js';
import { Verification, verifyFault } from './verify.js';

/** Milliseconds that batches in flight are given to end once another has failed for good. */
const grace = 5_000;
const progressEvery = 100;
/** Bytes read while the target is made ready for the first of them. */
const aheadBytes = 2 * 1024 * 1024;

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
  readonly #run: HeldRun;
  readonly #tally = new Tally();
  #coverage = new Coverage();
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
    this.#run = new HeldRun(options, this.#stop, this.#startedAt);
  }

  get #context(): Context {
    return this.#run.context;
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
    const { sampled, plan, unseen } = await this.#prepare(0);
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
      notes: [...plan.notes, ...[plan.unmade, unseen].filter((note) => note !== undefined)],
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
    const before = await this.#run.find();
    const readFrom = progressOf(before?.spans ?? []);
    const prepared = await this.#prepare(aheadBytes, before, readFrom);
    for (const note of prepared.plan.notes) this.#context.log.info({}, note);
    const { unseen } = prepared;
    if (unseen !== undefined) this.#tally.problem({ name: 'field-not-seen', message: unseen, incomplete: false });
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
    const asked = performance.now();
    const begun = await this.#run.begin(prepared, before);
    this.#deadline?.took(performance.now() - asked);
    if (begun === undefined) {
      this.#cutShort = true;
      return;
    }
    try {
      using _heart = this.#run.heart(grace);
      const settled = progressOf(begun.spans);
      this.#coverage = new Coverage(settled);
      for (const [split, { point }] of readFrom) this.#coverage.read(split, point?.row ?? 0);
      await this.#takeOver(begun);
      this.#openGate(this.#workers(prepared.plan.free));
      await this.#verification?.begin(this.#context);
      this.#cutShort = !(await this.#pump(prepared, settled));
      if (this.#undisturbed) this.#failBy(reconcileFault(this.#tally, this.#coverage));
      if (this.#undisturbed && !this.#cutShort) await this.#verify(prepared);
      if (this.#undisturbed) this.#tellUnjudged();
    } catch (error) {
      this.#fail(error);
    }
    await this.#run.finish(this.#status(), this.#coverage.settled);
  }

  /** The run is ours, and so is its folder: the rejects it has so far are put there, before others come. */
  async #takeOver({ run, epoch, resumed, rejected }: Checkpoint): Promise<void> {
    const { ledger } = this.#run;
    this.#tally.goOnAfter(rejected);
    if (ledger !== undefined) this.#options.onBegin?.({ run, resumed });
    await this.#clearRejects();
    if (!resumed) return;
    this.#context.log.info({ run, epoch }, 'the run is gone on with');
    for await (const reject of ledger?.rejects(run, this.#stop.writing) ?? []) {
      this.#rejects?.append([reject], run);
      this.#verification?.rejected([reject]);
    }
  }

  async #prepare(
    ahead: number,
    before?: Checkpoint,
    readFrom: ReadonlyMap<string, SplitProgress> = new Map(),
  ): Promise<Prepared> {
    const { source, sink, columns, ignoreExtra = false, force = false } = this.#options;
    await this.#findKey();
    const reading: ReadContext = {
      ...this.#context,
      signal: this.#stop.reading,
      limit: this.#settings.limit,
      ledger: this.#run.ledger,
      skipped: (rows) => this.#tally.cameIn(rows, rows),
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
    for (const { point } of readFrom.values()) this.#passedUnread += point?.row ?? 0;
    this.#arrivals = readSource(source, splits, readFrom, reading, this.#tally);
    // What is wrong with the source was told the first time.
    this.#readAgain = () =>
      readSource(source, splits, new Map(), { ...reading, strict: false, problem() {} }, new Tally());
    const told = { splits, sink, columns, ignoreExtra, before: before?.columns ?? [], ahead };
    return await prepare(this.#arrivals, told, this.#context);
  }

  /** The source is to judge its first records by the key already, and that may be the target's own. */
  async #findKey(): Promise<void> {
    const { sink, ignoreExtra = false } = this.#options;
    if (sink.key !== undefined || !sink.traits.rewrites) return;
    await sink.plan({ columns: [], sample: [], textual: false, ignoreExtra }, this.#context);
  }

  async #pump(prepared: Prepared, before: ReadonlyMap<string, SplitProgress>): Promise<boolean> {
    return await pump(prepared, {
      sink: this.#options.sink,
      settings: this.#settings,
      run: this.#run,
      before,
      passedUnread: this.#passedUnread,
      gate: this.#gate,
      limiter: this.#limiter,
      tally: this.#tally,
      coverage: this.#coverage,
      rejects: this.#rejects,
      deadline: this.#deadline,
      verification: this.#verification,
      stop: this.#stop,
      grace,
      failed: (error) => this.#fail(error),
    });
  }

  #fail(error: unknown): void {
    // What became of a batch that was given up while it was committed, the ledger tells whoever goes on.
    const left = this.#stop.gaveUp && error instanceof InDoubt && this.#run.ledger !== undefined;
    this.#stop.halt(left ? outOfTime : error, grace);
  }

  /** Whether nothing has stopped the run so far but, perhaps, a wish to read no more. */
  get #undisturbed(): boolean {
    return this.#stop.cause === undefined && !this.#stop.cutOff;
  }

  #tellUnjudged(): void {
    const message = this.#settings.budget.unjudged(this.#tally.rejectedInAll, this.#tally.read);
    if (message !== undefined) this.#tally.problem({ name: 'max-errors-not-judged', message, incomplete: false });
  }

  #failBy(fault: SluiceError | undefined): void {
    if (fault) this.#stop.halt(fault, 0);
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
    this.#failBy(this.#verified && verifyFault(this.#verified));
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
    await makeFolder(runDir).catch((error: unknown) => this.#folderFailed(error));
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
}

async function* noArrivals(): AsyncGenerator<never, void, void> {}

const noEvent = (): void => {};
