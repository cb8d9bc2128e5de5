import type { Chunk, ResumePoint } from '../contract/index.js';
import { type Lifetime, type Slice, SlicedBatch, sliceBytes } from './batch.js';
import type { ByteChannel } from './channel.js';
import type { CsvMapper, Mapper } from './mapping.js';

/** Why a batch was cut where it was. */
export type CutReason = 'rows' | 'bytes' | 'age' | 'layout' | 'end';

/** Looked at for each batch anew: bytes may change while the load runs. */
export interface BatchSize {
  readonly rows: number;
  readonly bytes: number;
  /** Of a batch of decoded records at most: they take several times the memory of the text they were made of. */
  readonly decodedBytes: number;
  /** Milliseconds that a row waits for others at most. */
  readonly age: number;
}

/** A chunk on its way, with the point from which it can be read again. */
export interface Arrival {
  /** Of memory, about. */
  readonly bytes: number;
  readonly chunk: Chunk;
  readonly start: ResumePoint;
  /** The rows of the chunk that are to be written: `[first, last)`. */
  readonly first: number;
  readonly last: number;
  readonly lifetime?: Lifetime;
}

/** Cuts batches out of chunks, by rows, bytes and age, and counts why. One caller at a time. */
export class Batcher {
  readonly cuts: Record<CutReason, number> = { rows: 0, bytes: 0, age: 0, layout: 0, end: 0 };
  readonly #channel: ByteChannel<Arrival>;
  readonly #mapper: Mapper;
  readonly #size: BatchSize;
  /** What is left of the chunk that the last cut went through. */
  #rest: Slice | undefined;
  #slices: Slice[] = [];
  #rows = 0;
  #bytes = 0;
  #bornAt = 0;
  #layout: { readonly of: Chunk; readonly csv: CsvMapper } | undefined;

  constructor(channel: ByteChannel<Arrival>, mapper: Mapper, size: BatchSize) {
    this.#channel = channel;
    this.#mapper = mapper;
    this.#size = size;
  }

  /**
   * The next batch; undefined after the last.
   * @throws what the source failed with, after all that came before it; the signal's reason when aborted.
   */
  async next(signal: AbortSignal): Promise<SlicedBatch | undefined> {
    for (;;) {
      const cut = this.#rest && this.#add(this.#rest);
      if (cut) return this.#cut(cut);
      const patience = this.#rows > 0 ? Math.max(0, this.#bornAt + this.#size.age - performance.now()) : undefined;
      let arrival: Arrival | 'late' | undefined;
      try {
        arrival = await this.#channel.take(signal, patience);
      } catch (error) {
        if (this.#rows === 0 || signal.aborted) throw error;
        return this.#cut('end');
      }
      if (arrival === 'late') return this.#cut('age');
      if (arrival === undefined) return this.#rows > 0 ? this.#cut('end') : undefined;
      this.#rest = this.#slice(arrival);
    }
  }

  /** Takes as much of the slice as fits; says why the batch is to be cut now, if it is. */
  #add(slice: Slice): CutReason | undefined {
    const head = this.#slices[0]?.chunk;
    if (head && !sameLayout(head, slice.chunk)) return 'layout';
    const room = Math.min(slice.last, slice.first + this.#size.rows - this.#rows);
    const most =
      slice.chunk.kind === 'records' ? Math.min(this.#size.bytes, this.#size.decodedBytes) : this.#size.bytes;
    const last = fitting(slice, room, most - this.#bytes, this.#rows === 0);
    if (last > slice.first) {
      if (this.#rows === 0) this.#bornAt = performance.now();
      const taken = { ...slice, last };
      this.#slices.push(taken);
      this.#rows += last - slice.first;
      this.#bytes += sliceBytes(taken);
    }
    this.#rest = last < slice.last ? { ...slice, first: last } : undefined;
    if (this.#rows >= this.#size.rows) return 'rows';
    return this.#rest || this.#bytes >= most ? 'bytes' : undefined;
  }

  #cut(reason: CutReason): SlicedBatch {
    this.cuts[reason] += 1;
    const batch = new SlicedBatch(this.#slices, this.#mapper);
    this.#slices = [];
    this.#rows = 0;
    this.#bytes = 0;
    return batch;
  }

  #slice({ chunk, start, first, last, lifetime }: Arrival): Slice {
    const slice = { chunk, first, last, start, lifetime };
    return chunk.kind === 'csv' ? { ...slice, csv: this.#csvMapper(chunk) } : slice;
  }

  #csvMapper(chunk: Chunk & { kind: 'csv' }): CsvMapper {
    if (!this.#layout || !sameLayout(this.#layout.of, chunk)) {
      this.#layout = { of: chunk, csv: this.#mapper.ofLayout(chunk.layout) };
    }
    return this.#layout.csv;
  }
}

function sameLayout(a: Chunk, b: Chunk): boolean {
  return a.kind === 'csv' ? b.kind === 'csv' && a.layout === b.layout : b.kind === 'records';
}

/** Index after the last row of the slice that keeps within `rows` (an index) and `bytes`; at least one when `atLeastOne`. */
function fitting(slice: Slice, room: number, bytes: number, atLeastOne: boolean): number {
  if (sliceBytes({ ...slice, last: room }) <= bytes) return room;
  let low = atLeastOne ? slice.first + 1 : slice.first;
  let high = room;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (sliceBytes({ ...slice, last: middle }) <= bytes) low = middle;
    else high = middle - 1;
  }
  return low;
}
