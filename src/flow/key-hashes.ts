import type { Cell } from '../contract/index.js';
import { parseCsvRecord } from '../formats/csv-record.js';
import type { PlainFields, SlicedBatch } from './batch.js';

/** 64-bit hashes of the keys of a batch's rows, as two halves, in no order that matters. */
export interface KeyHashes {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
}

/** Between turns of the event loop: what is being sent must not wait for the hashing of what comes next. */
const rowsAtOnce = 2000;

/**
 * Hashes keys by their text. Fields of CSV are hashed where they lie, without being parsed; rows that turn out to be no
 * records are then hashed too, which can do no harm. Yields now and then.
 */
export function* hashKeys(batch: SlicedBatch, key: readonly string[]): Generator<void, KeyHashes, void> {
  const plain = batch.plainFields(key);
  return plain === undefined ? yield* hashCells(batch, key) : yield* hashFields(plain, batch.rows);
}

function* hashCells(batch: SlicedBatch, key: readonly string[]): Generator<void, KeyHashes, void> {
  const hasher = new Hasher(batch.rows);
  const at = key.map((name) => batch.columns.indexOf(name));
  const cells: Cell[] = new Array(batch.columns.length);
  for (let row = 0; row < batch.rows; row++) {
    if (row % rowsAtOnce === rowsAtOnce - 1) yield;
    if (batch.refused.has(row) || batch.duplicates.has(row) || batch.cells(row, cells)) continue;
    for (const index of at) hasher.text(textOf(cells[index]));
    hasher.next();
  }
  return hasher.done();
}

function* hashFields(plain: readonly PlainFields[], rows: number): Generator<void, KeyHashes, void> {
  const hasher = new Hasher(rows);
  const parsed: (string | null)[] = [];
  for (const { chunk, first, last, fields } of plain) {
    const { data, ends, layout } = chunk;
    const delimiter = layout.delimiter.charCodeAt(0);
    const quote = layout.quote.charCodeAt(0);
    for (let row = first; row < last; row++) {
      if (row % rowsAtOnce === rowsAtOnce - 1) yield;
      const start = row === 0 ? 0 : ends[row - 1]!;
      const end = ends[row]!;
      let easy = true;
      for (const field of fields) easy = easy && hasher.field(data, start, end, field, delimiter, quote);
      if (!easy) {
        hasher.restart();
        if (parseCsvRecord(layout, data, start, end, parsed) !== undefined) continue;
        for (const field of fields) hasher.text(textOf(parsed[field]));
      }
      hasher.next();
    }
  }
  return hasher.done();
}

function textOf(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  return cell instanceof Date ? cell.toISOString() : String(cell);
}

const lowSeed = 0xdeadbeef;
const highSeed = 0x41c6ce57;
/** Ends a part of a key: no UTF-16 unit. */
const partEnd = 0x10000;

/** Two 32-bit multiplicative hashes of the texts' UTF-16 units, mixed at the end as MurmurHash3 does it. */
class Hasher {
  readonly #lows: Uint32Array;
  readonly #highs: Uint32Array;
  #count = 0;
  #low = lowSeed;
  #high = highSeed;

  constructor(rows: number) {
    this.#lows = new Uint32Array(rows);
    this.#highs = new Uint32Array(rows);
  }

  text(text: string): void {
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      low = Math.imul(low ^ unit, 0x9e3779b1);
      high = Math.imul(high ^ unit, 0x5f356495);
    }
    this.#low = Math.imul(low ^ partEnd, 0x9e3779b1);
    this.#high = Math.imul(high ^ partEnd, 0x5f356495);
  }

  /**
   * Hashes a field of the record in `[start, end)` as `text` would; false when it is not to be had so: it, or one before
   * it, is quoted, or it has characters that are not ASCII, or the record has no such field.
   */
  field(data: Uint8Array, start: number, end: number, field: number, delimiter: number, quote: number): boolean {
    let at = start;
    for (let skipped = 0; skipped < field; at++) {
      if (at >= end) return false;
      const byte = data[at]!;
      if (byte === quote) return false;
      if (byte === delimiter) skipped++;
    }
    let low = this.#low;
    let high = this.#high;
    for (; at < end; at++) {
      const byte = data[at]!;
      if (byte === delimiter || byte === 10 || byte === 13) break;
      if (byte === quote || byte >= 0x80) return false;
      low = Math.imul(low ^ byte, 0x9e3779b1);
      high = Math.imul(high ^ byte, 0x5f356495);
    }
    this.#low = Math.imul(low ^ partEnd, 0x9e3779b1);
    this.#high = Math.imul(high ^ partEnd, 0x5f356495);
    return true;
  }

  /** Forgets what was hashed since the last key. */
  restart(): void {
    this.#low = lowSeed;
    this.#high = highSeed;
  }

  /** The key is whole. */
  next(): void {
    const low =
      Math.imul(this.#low ^ (this.#low >>> 16), 0x85ebca6b) ^ Math.imul(this.#high ^ (this.#high >>> 13), 0xc2b2ae35);
    const high = Math.imul(this.#high ^ (this.#high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
    this.#lows[this.#count] = low;
    this.#highs[this.#count] = high;
    this.#count++;
    this.restart();
  }

  done(): KeyHashes {
    return { low: this.#lows.subarray(0, this.#count), high: this.#highs.subarray(0, this.#count) };
  }
}
