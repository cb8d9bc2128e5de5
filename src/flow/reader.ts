import type { Chunk, ReadContext, ResumePoint, Source, Split } from '../contract/index.js';
import type { SplitProgress } from '../ledger/progress.js';
import type { Tally } from '../telemetry/tally.js';
import { Lifetime } from './batch.js';
import type { Arrival } from './batcher.js';

/** All splits of a source, and what is known of its size. */
export async function listSplits(source: Source, context: ReadContext, tally: Tally): Promise<Split[]> {
  const splits: Split[] = [];
  for await (const split of until(source.splits(context), context.signal)) splits.push(split);
  tally.totalRows = total(splits.map((split) => split.rows));
  tally.totalBytes = total(splits.map((split) => split.bytes));
  return splits;
}

/**
 * Reads one split after another, until the last, until row `limit`, or until the context's signal is aborted. Of a split
 * that was begun before, reading goes on from where its progress says.
 */
export async function* readSource(
  source: Source,
  splits: readonly Split[],
  progress: ReadonlyMap<string, SplitProgress>,
  context: ReadContext,
  tally: Tally,
): AsyncGenerator<Arrival, void, void> {
  const limit = context.limit ?? Number.POSITIVE_INFINITY;
  let read = 0;
  for (const split of splits) {
    const point = progress.get(split.id)?.point;
    let start: ResumePoint = point ?? { row: 0, token: null };
    read += start.row;
    if (read >= limit) return;
    for await (const whole of until(source.read(split, point, context), context.signal)) {
      const chunk = atMost(whole, limit - read, start);
      const { rows, next } = chunk.span;
      read += rows;
      tally.bytesRead += chunk.bytes;
      if (chunk.totalRows !== undefined && splits.length === 1) tally.totalRows = chunk.totalRows;
      const lifetime = chunk.release && new Lifetime(rows, chunk.release);
      if (rows > 0) yield { bytes: memoryOf(chunk), chunk, start, first: 0, last: rows, lifetime };
      start = next;
      if (read >= limit) return;
    }
  }
}

/** Memory of decoded records, as a multiple of the text they were made of: measured with JSON of ten short fields. */
const decodedWeight = 4;

function memoryOf({ kind, bytes }: Chunk): number {
  return kind === 'records' ? bytes * decodedWeight : bytes;
}

function total(parts: readonly (number | undefined)[]): number | undefined {
  let sum = 0;
  for (const part of parts) {
    if (part === undefined) return undefined;
    sum += part;
  }
  return sum;
}

/** The chunk, or its first `rows` rows; reading again then starts with this chunk. */
function atMost(chunk: Chunk, rows: number, start: ResumePoint): Chunk {
  if (chunk.span.rows <= rows) return chunk;
  const span = { ...chunk.span, rows, next: start };
  if (chunk.kind === 'records') {
    const bytes = Math.ceil((chunk.bytes * rows) / chunk.span.rows);
    return { ...chunk, span, bytes, records: chunk.records.slice(0, rows) };
  }
  const bytes = chunk.ends[rows - 1] ?? 0;
  return { ...chunk, span, bytes, data: chunk.data.subarray(0, bytes), ends: chunk.ends.subarray(0, rows) };
}

/**
 * The same items, ending when the signal is aborted even while an item is waited for. An iterator that does not heed the
 * signal is left to itself then: waiting for its end could last for ever.
 */
async function* until<Item>(items: AsyncIterable<Item>, signal: AbortSignal): AsyncGenerator<Item, void, void> {
  const iterator = items[Symbol.asyncIterator]();
  let leave: (() => void) | undefined;
  const aborted = () => leave?.();
  signal.addEventListener('abort', aborted);
  try {
    while (!signal.aborted) {
      const next = await new Promise<IteratorResult<Item, unknown> | undefined>((resolve, reject) => {
        leave = () => resolve(undefined);
        iterator.next().then(resolve, reject);
      });
      if (next === undefined || next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', aborted);
    const ended = Promise.resolve(iterator.return?.());
    if (signal.aborted) ended.catch(() => {});
    else await ended;
  }
}
