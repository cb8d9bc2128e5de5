import { hash } from 'node:crypto';
import type { Chunk, Row } from '../contract/index.js';
import type { Arrival } from './batcher.js';

/** Rows a sample has at most. */
const sampleRows = 1_000;
/** Bytes a sample holds at most, whatever its records are like. */
const sampleBytes = 16 * 1024 * 1024;

interface Drawn {
  readonly lot: number;
  readonly arrival: Arrival;
}

/**
 * Keeps a sample of all rows that pass, spread over the whole: those that draw the lowest lots. A lot depends on the
 * row's place alone, so the same source gives the same sample, however it is cut into chunks.
 */
export class Sampler {
  #drawn: Drawn[] = [];
  #bytes = 0;
  /** Lots from here on are too high. */
  #bound = 2 ** 32;
  readonly #seeds = new Map<string, number>();

  /** Looks at every row of the arrival that holds a record. */
  take({ chunk }: Arrival): void {
    const { split, from, rows } = chunk.span;
    const seed = this.#seed(split);
    for (let i = 0; i < rows; i++) {
      const lot = lotOf(seed, from + i);
      if (lot < this.#bound && !chunk.defects?.has(i)) this.#keep(lot, chunk, i);
    }
  }

  /** Each row as an arrival of its own, in the order of splits and rows. */
  get arrivals(): readonly Arrival[] {
    this.#trim();
    const order = [...this.#seeds.keys()];
    return this.#drawn
      .map(({ arrival }) => arrival)
      .sort(({ chunk: { span: a } }, { chunk: { span: b } }) =>
        a.split === b.split ? a.from - b.from : order.indexOf(a.split) - order.indexOf(b.split),
      );
  }

  #seed(split: string): number {
    let seed = this.#seeds.get(split);
    if (seed === undefined) {
      seed = Number.parseInt(hash('sha256', split, 'hex').slice(0, 8), 16);
      this.#seeds.set(split, seed);
    }
    return seed;
  }

  #keep(lot: number, chunk: Chunk, index: number): void {
    const arrival = rowOf(chunk, index);
    this.#drawn.push({ lot, arrival });
    this.#bytes += arrival.bytes;
    if (this.#drawn.length >= 2 * sampleRows || this.#bytes > 2 * sampleBytes) this.#trim();
  }

  #trim(): void {
    this.#drawn.sort((a, b) => a.lot - b.lot);
    let kept = 0;
    let bytes = 0;
    for (const { arrival } of this.#drawn) {
      if (kept === sampleRows || (kept > 0 && bytes + arrival.bytes > sampleBytes)) break;
      kept += 1;
      bytes += arrival.bytes;
    }
    if (kept < this.#drawn.length) this.#bound = this.#drawn[kept]!.lot;
    this.#drawn.length = kept;
    this.#bytes = bytes;
  }
}

/** One row of a chunk as a chunk of its own. Bytes are copied (a Buffer's slice would not), for the chunk's are used again. */
function rowOf(chunk: Chunk, index: number): Arrival {
  const from = chunk.span.from + index;
  const next = { row: from, token: null };
  const span = { split: chunk.span.split, from, rows: 1, next };
  const replay = chunk.replay && { ...chunk.replay, origins: [chunk.replay.origins[index]!] };
  const shared = { span, ...(replay && { replay }) };
  const place = { start: next, first: 0, last: 1 };
  if (chunk.kind === 'csv') {
    const data = Uint8Array.from(chunk.data.subarray(index === 0 ? 0 : chunk.ends[index - 1]!, chunk.ends[index]!));
    const row: Chunk = {
      ...shared,
      kind: 'csv',
      bytes: data.length,
      layout: chunk.layout,
      data,
      ends: Uint32Array.of(data.length),
    };
    return { ...place, bytes: row.bytes, chunk: row };
  }
  const bytes = Math.ceil(chunk.bytes / chunk.span.rows);
  const records: readonly Row[] = [chunk.records[index]!];
  return { ...place, bytes, chunk: { ...shared, kind: 'records', bytes, records } };
}

/** 32 bits that look random; the finalizer of MurmurHash3. */
function lotOf(seed: number, row: number): number {
  let bits = seed ^ (row | 0) ^ Math.imul((row / 2 ** 32) | 0, 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
