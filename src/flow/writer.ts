import type { Batch, Context, Refusal, Sink, WriteResult } from '../contract/index.js';
import { InDoubt, messageOf, NotWritten, SluiceError } from '../errors.js';
import { pause } from '../pause.js';
import { type Backoff, pauseBefore } from './retry.js';

/** What the writing of one batch meets on its way. */
export interface WriteEvents {
  /** A part of the batch is written, and committed where the sink keeps the ledger. What this throws is fatal. */
  settled(part: Batch, result: WriteResult): void | Promise<void>;
  retried(error: unknown, attempt: number, throttled: boolean): void;
}

/**
 * Writes a batch to its end: again where the fault lies with the moment, in parts where it lies with a row, with the row
 * refused where no part is left to blame. Every part commits its own rows, rejects and spans.
 * @throws the sink's error when no batch would fare better, or when trying has lasted longer than the backoff allows;
 * the signal's reason when it is aborted, unless the sink is in doubt about the last write; what `events.settled` throws.
 */
export async function writeBatch(
  sink: Sink,
  batch: Batch,
  context: Context,
  backoff: Backoff,
  events: WriteEvents,
): Promise<void> {
  const left: Batch[] = [batch];
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    const failure = await tryPart(sink, part, context, backoff, events);
    if (failure !== undefined) left.push(...divide(part, failure).reverse());
  }
}

/** Undefined when the part is settled; the sink's error when the part is to be divided. */
async function tryPart(
  sink: Sink,
  part: Batch,
  context: Context,
  backoff: Backoff,
  events: WriteEvents,
): Promise<unknown> {
  let failingSince: number | undefined;
  for (let attempt = 1; ; attempt++) {
    context.signal.throwIfAborted();
    let result: WriteResult;
    try {
      result = await sink.write(part, context);
    } catch (error) {
      // Whether the part landed is not known: an abort must not hide that.
      if (context.signal.aborted) throw error instanceof InDoubt ? error : context.signal.reason;
      const kind = sink.classify(error);
      if (kind === 'divide') return error;
      if (kind === 'fatal') throw error;
      failingSince ??= performance.now();
      if (performance.now() - failingSince > backoff.total) {
        throw new SluiceError(
          'retries-exhausted',
          `writing failed for ${Math.round(backoff.total / 1000)} s, ${attempt} tries: ${messageOf(error)}`,
          { cause: error },
        );
      }
      events.retried(error, attempt, kind === 'throttled');
      await pause(pauseBefore(attempt, backoff), context.signal);
      continue;
    }
    // Not under the catch above: an error after the commit is no error of the write, which would be tried again.
    await events.settled(part, result);
    return undefined;
  }
}

/** The smaller batches to try instead: around the row the sink named, else two halves; a lone row is refused. */
function divide(part: Batch, failure: unknown): Batch[] {
  const live = liveRows(part);
  if (live.length === 0) throw failure;
  if (live.length === 1) return [part.refuse(new Map([[live[0]!, refusalOf(failure)]]))];
  const named = failure instanceof NotWritten ? failure.row : undefined;
  if (named !== undefined && named >= 0 && named < part.rows) {
    return [part.part(0, named), part.part(named, named + 1), part.part(named + 1, part.rows)].filter(
      (p) => p.rows > 0,
    );
  }
  const middle = live[live.length >>> 1]!;
  return [part.part(0, middle), part.part(middle, part.rows)];
}

/** Rows that would be written: neither refused nor duplicate. */
function liveRows(batch: Batch): number[] {
  const rows: number[] = [];
  for (let row = 0; row < batch.rows; row++) {
    if (!batch.refused.has(row) && !batch.duplicates.has(row)) rows.push(row);
  }
  return rows;
}

function refusalOf(failure: unknown): Refusal {
  if (failure instanceof NotWritten) {
    return failure.refusal ?? { code: failure.code, reason: failure.message };
  }
  return { code: 'refused', reason: messageOf(failure) };
}
