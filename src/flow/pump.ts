import type { Batch, Gate, Sink, WriteResult } from '../contract/index.js';
import type { Limiter, Permit } from '../gate/limiter.js';
import type { SplitProgress } from '../ledger/progress.js';
import type { RejectFile } from '../rejects/reject-file.js';
import type { Tally } from '../telemetry/tally.js';
import { SlicedBatch } from './batch.js';
import { type Arrival, Batcher } from './batcher.js';
import { ByteChannel } from './channel.js';
import type { Coverage } from './coverage.js';
import type { Deadline } from './deadline.js';
import { dispatch } from './dispatch.js';
import { decodedBytes, throttleReason } from './gate.js';
import type { HeldRun } from './held-run.js';
import { KeyOrder } from './key-order.js';
import type { Settings } from './options.js';
import type { Prepared } from './prepare.js';
import { TooManyRejects } from './reject-budget.js';
import { unsettled } from './resume.js';
import type { Stop } from './stop.js';
import type { Verification } from './verify.js';
import { writeBatch } from './writer.js';

/** Bytes that may lie between reader and batcher. */
const channelBytes = 4 * 1024 * 1024;
/** Milliseconds a row waits for others of its batch. */
const batchAge = 250;
/** A batch that meets a fault of the moment is tried again for a minute. */
const backoff = { first: 50, longest: 2_000, total: 60_000 };

/** What moves the records, and what keeps account of them. */
export interface PumpParts {
  readonly sink: Sink;
  readonly settings: Settings;
  readonly run: HeldRun;
  /** What an earlier part of the run settled. */
  readonly before: ReadonlyMap<string, SplitProgress>;
  /** Rows in front of the points from which reading goes on. */
  readonly passedUnread: number;
  readonly gate: Gate;
  readonly limiter: Limiter;
  readonly tally: Tally;
  readonly coverage: Coverage;
  readonly rejects: RejectFile | undefined;
  readonly deadline: Deadline | undefined;
  readonly verification: Verification | undefined;
  readonly stop: Stop;
  /** Milliseconds that batches in flight are given to end once the load is halted. */
  readonly grace: number;
  /** Told of what neither retries nor rejects could mend; is to stop the rest by `stop`. */
  failed(error: unknown): void;
}

/**
 * Moves all that arrives into the sink, and keeps account of it. Resolves once nothing is in flight any more, whatever
 * happened, to whether the source was read to its end.
 */
export async function pump(prepared: Pick<Prepared, 'arrivals' | 'mapper'>, parts: PumpParts): Promise<boolean> {
  return await new Pump(parts).run(prepared);
}

class Pump {
  readonly #parts: PumpParts;
  #whole = false;

  constructor(parts: PumpParts) {
    this.#parts = parts;
  }

  async run({ arrivals, mapper }: Pick<Prepared, 'arrivals' | 'mapper'>): Promise<boolean> {
    const { sink, settings, gate, limiter, stop, run, failed } = this.#parts;
    const { traits, key } = sink;
    const channel = new ByteChannel<Arrival>(channelBytes);
    const batcher = new Batcher(channel, mapper, {
      rows: Math.min(settings.batchRows ?? Number.POSITIVE_INFINITY, traits.maxBatchRows),
      get bytes() {
        return gate.batchBytes;
      },
      get decodedBytes() {
        return decodedBytes(gate.current);
      },
      age: batchAge,
    });
    const fed = this.#feed(arrivals, channel);
    await dispatch(
      batcher,
      limiter,
      traits.rewrites && key && key.length > 0 ? new KeyOrder(key) : undefined,
      stop.dispatching,
      (batch, permit) => this.#write(batch, permit),
      failed,
    );
    await fed;
    run.context.log.info({ cuts: batcher.cuts }, 'batches were cut');
    return this.#whole;
  }

  async #feed(arrivals: AsyncIterable<Arrival>, channel: ByteChannel<Arrival>): Promise<void> {
    const { stop, before, passedUnread, verification, tally, coverage } = this.#parts;
    try {
      tally.cameIn(passedUnread, passedUnread);
      for await (const arrival of arrivals) {
        const { split, from, rows } = arrival.chunk.span;
        verification?.seen(arrival);
        let left = 0;
        for (const part of unsettled(arrival, before.get(split)?.settled)) {
          await channel.put(part, stop.dispatching);
          left += part.last - part.first;
        }
        arrival.lifetime?.settle(rows - left);
        tally.cameIn(rows, rows - left);
        coverage.read(split, from + rows);
      }
      this.#whole = !stop.reading.aborted;
      channel.close();
    } catch (error) {
      if (stop.reading.aborted) channel.close();
      else channel.fail(error);
    }
  }

  async #write(batch: Batch, permit: Pick<Permit, 'setBack'>): Promise<void> {
    const { sink, run, tally, deadline } = this.#parts;
    const { context } = run;
    const start = performance.now();
    using _timed = deadline?.batch();
    await writeBatch(sink, batch, context, backoff, {
      settled: (part, result) => this.#settled(part, result),
      retried: (error, attempt, throttled) => {
        tally.retries += 1;
        permit.setBack(throttled ? throttleReason(error) : undefined);
        const fields = { error: String(error), attempt, throttled, rows: batch.rows };
        context.log.warn(fields, 'a batch is tried again');
      },
    });
    const ms = Math.round(performance.now() - start);
    context.log.debug({ rows: batch.rows, bytes: batch.bytes, ms }, 'a batch is written');
  }

  async #settled(part: Batch, result: WriteResult): Promise<void> {
    const { sink, run, settings, tally, coverage, rejects, verification, stop, grace } = this.#parts;
    // Rows are durable by now. What is lost between them and this is written once more.
    if (sink.ledger === undefined) await run.ledger?.settle?.(part.spans, result.rejects, run.context);
    tally.settled(part, result);
    coverage.settle(part.spans);
    rejects?.append(result.rejects, part.replayOf ?? run.context.run);
    verification?.rejected(result.rejects);
    SlicedBatch.release(part);
    const { rejectedInAll: rejected, read } = tally;
    if (settings.budget.exceeded(rejected, read)) stop.halt(new TooManyRejects(rejected, read), grace);
  }
}
