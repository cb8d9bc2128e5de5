import type { CsvLayout } from '../contract/index.js';
import { SourceError } from '../errors.js';
import { maxRecordBytes } from './bytes.js';

/** Whole records: `ends[i]` is the offset in `data` just after record i, its line end included. */
export interface CsvRun {
  readonly data: Buffer;
  readonly ends: Uint32Array;
  /** Bytes of the file it stands for: fewer than in `data` where a line end was added. */
  readonly length: number;
  /** The last record is the file's last, and a quote in it is still open. */
  readonly unterminated: boolean;
}

/**
 * Cuts CSV bytes at record ends, as PostgreSQL's COPY sees them (CopyReadLineText in its copyfromparse.c): every quote
 * toggles, wherever it stands, and a line end outside quotes ends the record. In a file of \r\n a bare \n outside quotes
 * ends a record too: COPY refuses such a record, and so does parseCsvRecord, but the ones after it are not lost with it.
 */
export class CsvSplitter {
  readonly #quote: number;
  readonly #end: number;
  readonly #eol: CsvLayout['eol'];
  readonly #limit: number;
  /** 1 within quotes, else 0. */
  #inQuote = 0;
  /** Pieces of a record whose end has not come yet. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #scratch = new Uint32Array(0);

  constructor(layout: Pick<CsvLayout, 'quote' | 'eol'>, limit: number = maxRecordBytes) {
    this.#quote = layout.quote.charCodeAt(0);
    this.#eol = layout.eol;
    this.#end = layout.eol === '\r' ? 13 : 10;
    this.#limit = limit;
  }

  /**
   * Takes the next bytes of the file; gives the records that are whole now: at most one that began in earlier bytes,
   * copied together, then those that lie within `bytes`, over the same memory.
   * Throws SourceError `record-too-large` when a record grows beyond the limit.
   */
  push(bytes: Buffer): CsvRun[] {
    const count = this.#scan(bytes);
    const ends = this.#scratch;
    const runs: CsvRun[] = [];
    let first = 0;
    let start = 0;
    if (count > 0 && this.#pendingBytes > 0) {
      start = ends[0]!;
      first = 1;
      const data = Buffer.concat([...this.#pending, bytes.subarray(0, start)]);
      runs.push({ data, ends: Uint32Array.of(data.length), length: data.length, unterminated: false });
      this.#pending = [];
      this.#pendingBytes = 0;
    }
    if (count > first) {
      const own = ends.slice(first, count);
      if (start > 0) for (let i = 0; i < own.length; i++) own[i]! -= start;
      const stop = ends[count - 1]!;
      runs.push({ data: bytes.subarray(start, stop), ends: own, length: stop - start, unterminated: false });
      start = stop;
    }
    if (start < bytes.length) {
      // A copy: whoever gave `bytes` may use their memory again once the runs over them are done with.
      this.#pending.push(Buffer.from(bytes.subarray(start)));
      this.#pendingBytes += bytes.length - start;
      if (this.#pendingBytes > this.#limit) {
        throw new SourceError(
          'record-too-large',
          `a record is longer than ${this.#limit} bytes${this.#inQuote === 1 ? ': a quote is still open, is one missing?' : ''}`,
        );
      }
    }
    return runs;
  }

  /** The last record, where the file does not end in a line end; one is added. */
  end(): CsvRun | undefined {
    if (this.#pendingBytes === 0) return undefined;
    const data = Buffer.concat([...this.#pending, Buffer.from(this.#eol, 'latin1')]);
    const run = {
      data,
      ends: Uint32Array.of(data.length),
      length: this.#pendingBytes,
      unterminated: this.#inQuote === 1,
    };
    this.#pending = [];
    this.#pendingBytes = 0;
    return run;
  }

  /** Notes the record ends of `bytes` in #scratch and returns how many there are. */
  #scan(bytes: Buffer): number {
    // As many as there could be. What is never written is never made resident.
    if (this.#scratch.length < bytes.length) this.#scratch = new Uint32Array(bytes.length);
    const found = scan(bytes, this.#quote, this.#end, this.#inQuote, this.#scratch);
    this.#inQuote = found & 1;
    return found >> 1;
  }
}

/**
 * Notes in `ends` where records end; returns twice their number, plus 1 when `bytes` end within quotes. Four bytes at a
 * time are asked whether one of them is a quote or a line end, by the zero-byte test of Hacker's Delight 6-1. Measured
 * (bench/csv-read.js): 0.8-1 ns a byte, a loop over bytes 1.5, jumps by indexOf 2 where there are quotes; as a method
 * with its state in private fields it is slower by a third.
 */
function scan(bytes: Buffer, quote: number, end: number, state: number, ends: Uint32Array): number {
  let inQuote = state;
  let count = 0;
  const skew = Math.min(bytes.length, -bytes.byteOffset & 3);
  for (let i = 0; i < skew; i++) {
    const byte = bytes[i];
    if (byte === quote) inQuote ^= 1;
    else if (byte === end && inQuote === 0) ends[count++] = i + 1;
  }
  const whole = (bytes.length - skew) >> 2;
  const words = whole === 0 ? noWords : new Int32Array(bytes.buffer, bytes.byteOffset + skew, whole);
  const quotes = Math.imul(quote, 0x01010101);
  const lineEnds = Math.imul(end, 0x01010101);
  for (let w = 0; w < whole; w++) {
    const word = words[w]!;
    const q = word ^ quotes;
    const e = word ^ lineEnds;
    if (((((q - 0x01010101) & ~q) | ((e - 0x01010101) & ~e)) & 0x80808080) === 0) continue;
    // Not a loop, for speed where quotes are many.
    const at = skew + (w << 2);
    let byte = bytes[at];
    if (byte === quote) inQuote ^= 1;
    else if (byte === end && inQuote === 0) ends[count++] = at + 1;
    byte = bytes[at + 1];
    if (byte === quote) inQuote ^= 1;
    else if (byte === end && inQuote === 0) ends[count++] = at + 2;
    byte = bytes[at + 2];
    if (byte === quote) inQuote ^= 1;
    else if (byte === end && inQuote === 0) ends[count++] = at + 3;
    byte = bytes[at + 3];
    if (byte === quote) inQuote ^= 1;
    else if (byte === end && inQuote === 0) ends[count++] = at + 4;
  }
  for (let i = skew + (whole << 2); i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === quote) inQuote ^= 1;
    else if (byte === end && inQuote === 0) ends[count++] = i + 1;
  }
  return (count << 1) | inQuote;
}

const noWords = new Int32Array(0);
