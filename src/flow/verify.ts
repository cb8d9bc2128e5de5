import type { Batch, Compared, Comparison, Context, Reject, Sink, Source, Verified } from '../contract/index.js';
import { ConfigError, SluiceError, SourceError } from '../errors.js';
import { RangeSet } from '../ledger/range-set.js';
import { pause } from '../pause.js';
import type { Tally } from '../telemetry/tally.js';
import { type Arrival, Batcher } from './batcher.js';
import { ByteChannel } from './channel.js';
import type { Mapper } from './mapping.js';
import { unsettled } from './resume.js';
import { type Backoff, pauseBefore } from './retry.js';
import { Sampler } from './sample.js';

/** How much is read back after a load. */
export type VerifyLevel = 'none' | Verified['level'];

export const verifyLevels = ['none', 'count', 'sample', 'full'] as const satisfies readonly VerifyLevel[];

/** Batches in which records are sent to be compared. */
const size = { rows: 10_000, bytes: 1024 * 1024, decodedBytes: 1024 * 1024, age: 1_000 };
const channelBytes = 4 * 1024 * 1024;
/** A server that restarts is waited for. */
const tries = 20;
const backoff: Backoff = { first: 50, longest: 2_000, total: 30_000 };

const keysOnly: Compared = { values: false, kept: true };

/** What the load knows when it is over. */
export interface Loaded {
  readonly mapper: Mapper;
  /** The source's records once more, from its start. */
  readAgain(): AsyncIterable<Arrival>;
  /** Rows at the start of splits that were passed over unread, for they had been loaded before. */
  readonly passedUnread: number;
  /** As the source has it. */
  readonly once: boolean;
  readonly tally: Tally;
  /** As of the load; its signal ends the verification. */
  readonly context: Context;
}

/** Reads back what a load wrote, and holds it against the source. */
export class Verification {
  readonly #level: Verified['level'];
  readonly #sink: Sink;
  readonly #rejected = new Map<string, RangeSet>();
  readonly #sampler: Sampler | undefined;
  #rowsBefore = 0;

  /**
   * Undefined when nothing is to be verified.
   * @throws ConfigError when this source or sink can't be.
   */
  static of(level: VerifyLevel, source: Source, sink: Sink): Verification | undefined {
    if (!verifyLevels.includes(level))
      throw new ConfigError('bad-option', `verify is ${level}: give one of ${verifyLevels.join(', ')}`);
    if (level === 'none') return undefined;
    const again = level === 'full' || (level === 'count' && sink.count === undefined);
    if (again && source.once)
      throw new ConfigError(
        'read-once',
        `verify ${level} reads the source again, and ${source.identity} can be read once only: use verify sample`,
      );
    if (sink.compare === undefined)
      throw new ConfigError('no-verify', `a load into ${sink.name} can't be verified: its sink can't compare`);
    return new Verification(level, sink);
  }

  private constructor(level: Verified['level'], sink: Sink) {
    this.#level = level;
    this.#sink = sink;
    if (level === 'sample') this.#sampler = new Sampler();
  }

  /** Before the first row is written: what could hinder the verification is to be known now. */
  async begin(context: Context): Promise<void> {
    if (this.#level === 'count' && this.#sink.count) this.#rowsBefore = await this.#sink.count(context);
    else await this.#compare(none, keysOnly, context);
  }

  seen(arrival: Arrival): void {
    this.#sampler?.take(arrival);
  }

  /** These are not expected to be in the target. */
  rejected(rejects: readonly Reject[]): void {
    for (const { split, row } of rejects) {
      const rows = this.#rejected.get(split) ?? new RangeSet();
      this.#rejected.set(split, rows);
      rows.add(row, row + 1);
    }
  }

  /** @throws what the source or the sink failed with. */
  async verify(loaded: Loaded): Promise<Verified> {
    return { level: this.#level, ...(await this.#found(loaded)) };
  }

  async #found(loaded: Loaded): Promise<Comparison> {
    const { tally, context } = loaded;
    if (this.#level === 'count') {
      if (this.#sink.count) return counted(this.#rowsBefore + tally.written, await this.#sink.count(context));
      return await this.#compareAll(loaded, keysOnly);
    }
    const wanted = { values: true, kept: tally.unchanged > 0 || tally.skipped > 0 };
    if (this.#level === 'full') return await this.#compareAll(loaded, wanted);
    let sampler = this.#sampler!;
    if (loaded.passedUnread > 0 && !loaded.once) {
      sampler = new Sampler();
      for await (const arrival of loaded.readAgain()) sampler.take(arrival);
    }
    return await this.#compare(() => this.#batches(list(sampler.arrivals), loaded), wanted, context);
  }

  async #compareAll(loaded: Loaded, wanted: Compared): Promise<Comparison> {
    let read = 0;
    const counted = async function* (arrivals: AsyncIterable<Arrival>) {
      read = 0;
      for await (const arrival of arrivals) {
        read += arrival.chunk.span.rows;
        yield arrival;
      }
    };
    const found = await this.#compare(() => this.#batches(counted(loaded.readAgain()), loaded), wanted, loaded.context);
    if (read === loaded.tally.read) return found;
    throw new SluiceError(
      'verify-failed',
      `the source gave ${read} records when it was read again, and ${loaded.tally.read} before: it has changed meanwhile, so that nothing can be said of the target`,
    );
  }

  /** Again from its start where the fault lies with the moment. */
  async #compare(batches: () => AsyncIterable<Batch>, wanted: Compared, context: Context): Promise<Comparison> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#sink.compare!(batches(), wanted, context);
      } catch (error) {
        context.signal.throwIfAborted();
        if (error instanceof SourceError) throw error;
        const kind = this.#sink.classify(error);
        if ((kind !== 'retry' && kind !== 'throttled') || attempt === tries) throw impossible(error);
        context.log.warn({ error: String(error), attempt }, 'the verification is tried again');
        await pause(pauseBefore(attempt, backoff), context.signal);
      }
    }
  }

  /** What of the arrivals is expected in the target, in batches as the load makes them. */
  async *#batches(arrivals: AsyncIterable<Arrival>, { mapper, context }: Loaded): AsyncGenerator<Batch, void, void> {
    const left = new AbortController();
    const signal = AbortSignal.any([context.signal, left.signal]);
    const channel = new ByteChannel<Arrival>(channelBytes);
    const batcher = new Batcher(channel, mapper, size);
    const fed = this.#feed(arrivals, channel, signal);
    try {
      for (let batch = await batcher.next(signal); batch !== undefined; batch = await batcher.next(signal)) yield batch;
    } finally {
      left.abort(new Error('no more is wanted'));
      await fed;
    }
  }

  async #feed(arrivals: AsyncIterable<Arrival>, channel: ByteChannel<Arrival>, signal: AbortSignal): Promise<void> {
    try {
      for await (const arrival of arrivals) {
        for (const part of this.#expected(arrival)) await channel.put(part, signal);
      }
      channel.close();
    } catch (error) {
      channel.fail(error);
    }
  }

  *#expected(arrival: Arrival): Iterable<Arrival> {
    const { replay, span } = arrival.chunk;
    if (replay === undefined) {
      yield* unsettled(arrival, this.#rejected.get(span.split));
      return;
    }
    for (let at = arrival.first; at < arrival.last; at++) {
      const { split, row } = replay.origins[at]!;
      if (!this.#rejected.get(split)?.has(row)) yield { ...arrival, first: at, last: at + 1 };
    }
  }
}

/** What a verified load is to fail with; undefined when all is as it should be. */
export function verifyFault({ level, compared, missing, different }: Verified): SluiceError | undefined {
  if (missing === 0 && different === 0) return undefined;
  const message =
    level === 'count'
      ? `the target should have ${compared} rows, and has ${compared - missing + different}`
      : `of ${compared} records held against the target, ${missing} are missing and ${different} are different`;
  return new SluiceError(
    'verify-failed',
    `${message}: something else has changed the table since, or a trigger changes what is written; see the differences in the report`,
  );
}

function counted(expected: number, found: number): Comparison {
  const missing = Math.max(0, expected - found);
  const different = Math.max(0, found - expected);
  return { compared: expected, missing, different, differences: [] };
}

function impossible(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  const told = error instanceof Error ? error.message : String(error);
  return new SluiceError('verify-failed', `the load could not be verified: ${told}`, { cause: error });
}

async function* none(): AsyncGenerator<never, void, void> {}

async function* list<Item>(items: Iterable<Item>): AsyncGenerator<Item, void, void> {
  yield* items;
}
