import type { Checkpoint, Context, Ledger, Log, RunRequest, RunStatus } from '../contract/index.js';
import { ConfigError, SluiceError } from '../errors.js';
import { mayBeAlive, thisHolder } from '../ledger/holder.js';
import { begin } from './begin.js';
import { startHeart } from './heartbeat.js';
import type { LoadOptions } from './options.js';
import { jobId, type Prepared } from './prepare.js';
import { newRunName } from './run-name.js';
import type { Stop } from './stop.js';

/** Milliseconds between signs of life; a third of the ledger's lease. */
const heartbeatEvery = 5_000;

/**
 * The run as the ledger has it, from the look at what an earlier part of it settled to the note of how it ended. A load
 * without a ledger has a run too: one that nobody else sees, and that always starts from nothing.
 */
export class HeldRun {
  readonly ledger: Ledger | undefined;
  readonly #options: LoadOptions;
  readonly #stop: Stop;
  #context: Context;

  constructor(options: LoadOptions, stop: Stop, startedAt: Date) {
    this.#options = options;
    this.#stop = stop;
    this.ledger = options.sink.ledger ?? options.ledger;
    this.#context = {
      run: options.run ?? newRunName(startedAt),
      job: jobId(options.source, options.sink),
      epoch: 0,
      signal: stop.writing,
      log: options.log ?? silent,
    };
  }

  /** Its run and epoch are those of `begin` once that has resolved. */
  get context(): Context {
    return this.#context;
  }

  get #resume(): RunRequest['resume'] {
    const { resume = false } = this.#options;
    if (typeof resume === 'string') return { run: resume };
    return resume ? 'latest' : 'no';
  }

  /** What a resume goes on with, as far as can be seen before the run is taken over. */
  async find(): Promise<Checkpoint | undefined> {
    if (this.#resume === 'no') return undefined;
    if (this.ledger === undefined) {
      throw new ConfigError('no-ledger', 'there is nothing to resume from: this load keeps no ledger');
    }
    return await this.ledger.find({ job: this.#context.job, resume: this.#resume }, this.#stop.writing);
  }

  /**
   * Starts the run or takes it over: what is settled now stays so. `before` is what `find` found. Undefined when another
   * holder was waited for, until reading was ended.
   */
  async begin(
    { plan: { columns }, fingerprints }: Pick<Prepared, 'plan' | 'fingerprints'>,
    before: Checkpoint | undefined,
  ): Promise<Checkpoint | undefined> {
    const { run, job, log } = this.#context;
    if (this.ledger === undefined) {
      this.#context = { ...this.#context, epoch: 1 };
      return { run, resumed: false, ended: undefined, epoch: 1, spans: [], rejected: 0, columns, fingerprints };
    }
    const { source, sink, wait = false, onWait } = this.#options;
    const request: RunRequest = {
      run,
      job,
      // The one that was found, by which the reading goes, though another may be the latest by now.
      resume: before === undefined ? this.#resume : { run: before.run },
      source: source.identity,
      sink: sink.identity,
      holder: thisHolder(run),
      mayBeAlive,
      columns,
      fingerprints,
    };
    const tell = ({ message }: SluiceError) => {
      log.info({}, `waiting: ${message}`);
      onWait?.(message);
    };
    const checkpoint = await begin(this.ledger, request, { wait, until: this.#stop.reading, tell }, this.#stop.writing);
    if (checkpoint === undefined) return undefined;
    this.#context = { ...this.#context, run: checkpoint.run, epoch: checkpoint.epoch };
    return checkpoint;
  }

  /** Says that the run is alive, until disposed; halts the load with `grace` milliseconds when it is no longer ours. */
  heart(grace: number): Disposable {
    return startHeart((signal) => this.#beat(signal, grace), heartbeatEvery);
  }

  async #beat(signal: AbortSignal, grace: number): Promise<void> {
    try {
      await this.ledger?.heartbeat({ ...this.#context, signal });
    } catch (error) {
      // A server that can't be reached is the batches' to find out; a run taken over is over.
      if (signal.aborted) return;
      const { sink } = this.#options;
      const over = sink.ledger === undefined ? error instanceof SluiceError : sink.classify(error) === 'fatal';
      if (over) this.#stop.halt(error, grace);
    }
  }

  /** Notes how it ended: nobody needs to wait for it any more. */
  async finish(status: RunStatus, settled: number): Promise<void> {
    await this.ledger?.finish(status, this.#context, settled);
  }
}

const silent: Log = { debug() {}, info() {}, warn() {} };
