import type { Chunk, ReadContext, Source } from '../contract/index.js';
import { SourceError } from '../errors.js';
import { listSplits, readSource } from '../flow/reader.js';
import { Tally } from '../telemetry/tally.js';

/** Where a sample ends: whichever is reached first. */
export interface SampleBounds {
  readonly rows: number;
  /** Of memory, about. */
  readonly bytes: number;
  /** Seconds of reading. */
  readonly seconds: number;
}

/** The first records of a source, in memory. */
export interface Sample {
  readonly chunks: readonly Chunk[];
  readonly rows: number;
  /** As the source counts them. */
  readonly bytes: number;
  /** From the first question to the last record. */
  readonly seconds: number;
  /** The source has no more. */
  readonly whole: boolean;
  /** Rows the source has in all. Undefined where it can't be known, nor reckoned from its bytes. */
  readonly total: { readonly rows: number; readonly reckoned: boolean } | undefined;
}

/** Reads the first records of a source, and holds them. The source is left open. */
export async function takeSample(source: Source, bounds: SampleBounds, context: ReadContext): Promise<Sample> {
  const start = performance.now();
  const tally = new Tally();
  const chunks: Chunk[] = [];
  let rows = 0;
  let held = 0;
  let bytes = 0;
  let whole = true;
  const splits = await listSplits(source, context, tally);
  for await (const arrival of readSource(source, splits, new Map(), { ...context, limit: bounds.rows }, tally)) {
    chunks.push(kept(arrival.chunk, rows));
    rows += arrival.chunk.span.rows;
    bytes += arrival.chunk.bytes;
    held += arrival.bytes;
    arrival.lifetime?.settle(arrival.chunk.span.rows);
    const seconds = (performance.now() - start) / 1000;
    whole = rows < bounds.rows;
    if (whole && held < bounds.bytes && seconds < bounds.seconds) continue;
    whole = false;
    break;
  }
  context.signal.throwIfAborted();
  if (rows === 0)
    throw new SourceError(
      'empty-source',
      `${source.identity}: the source is empty, so there is nothing to measure with`,
    );
  const seconds = (performance.now() - start) / 1000;
  return { chunks, rows, bytes, seconds, whole, total: totalOf(tally, rows, bytes, whole) };
}

/** The chunk as it stays in memory: the source may use its bytes for others once they are settled. */
function kept(chunk: Chunk, from: number): Chunk {
  const { rows } = chunk.span;
  const span = { split: 'sample', from, rows, next: { row: from + rows, token: null } };
  const common = { span, bytes: chunk.bytes, ...(chunk.defects && { defects: chunk.defects }) };
  if (chunk.kind === 'records') return { ...common, kind: 'records', records: chunk.records };
  const { layout, data, ends } = chunk;
  return { ...common, kind: 'csv', layout, data: Uint8Array.from(data), ends: Uint32Array.from(ends) };
}

function totalOf({ totalRows, totalBytes }: Tally, rows: number, bytes: number, whole: boolean): Sample['total'] {
  if (whole) return { rows, reckoned: false };
  if (totalRows !== undefined) return { rows: Math.max(rows, totalRows), reckoned: false };
  if (totalBytes === undefined || bytes === 0) return undefined;
  return { rows: Math.max(rows, Math.round((totalBytes / bytes) * rows)), reckoned: true };
}

/** A source that gives the sample from memory, each time anew. */
export function sampleSource({ chunks, rows }: Sample): Source {
  return {
    name: 'sample',
    identity: 'sample',
    async *splits() {
      yield { id: 'sample', rows };
    },
    async *read(_split, _from, { signal }) {
      for (const chunk of chunks) {
        signal.throwIfAborted();
        yield chunk;
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}
