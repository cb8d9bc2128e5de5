import type { Cell, Refusal } from '../../contract/index.js';
import { dateBytes, writeDate } from './date-text.js';
import type { TargetColumn } from './target.js';

const chunkBytes = 64 * 1024;

/** Texts longer than this are copied by Node.js, whose call costs as much as so many turns of a loop. */
const longText = 64;

/** Buffers of one size that are used again: a new one for every 64 KiB made the garbage collector run for them alone. */
export class ChunkPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
  }

  /** Takes a chunk back once nobody looks at it any more. Others than its own it leaves alone. */
  give({ buffer }: Uint8Array): void {
    if (buffer.byteLength === chunkBytes && buffer instanceof ArrayBuffer) this.#free.push(Buffer.from(buffer));
  }
}

/**
 * Rows in COPY's text format, written byte by byte as they come: escapes, tabs between columns, `\N` for null. Strings put
 * together first took twice the time, and their garbage most of the memory.
 */
export class CopyText {
  readonly #pool: ChunkPool;
  readonly #full: Buffer[] = [];
  /** Small at first: of rows with ever other columns there may be as many of these as rows. */
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #rowStart = 0;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  tab(): void {
    this.#byte(9);
  }

  null(): void {
    this.#byte(92);
    this.#byte(78);
  }

  /** An integer in the range of 32 bits. */
  integer(value: number): void {
    this.#reserve(11);
    let rest = value;
    if (rest < 0) {
      this.#buffer[this.#at++] = 45;
      rest = -rest;
    }
    let digits = 1;
    for (let limit = 10; limit <= rest; limit *= 10) digits++;
    const end = this.#at + digits;
    for (let at = end - 1; at >= this.#at; at--) {
      const tenth = Math.floor(rest / 10);
      this.#buffer[at] = 48 + rest - tenth * 10;
      rest = tenth;
    }
    this.#at = end;
  }

  /**
   * A number of at most two decimals, such as an amount of money; false, and nothing written, when it is not surely one. The
   * quotient of two integers this small is the double that stands for its decimal digits, and no shorter digits do.
   */
  decimal(value: number): boolean {
    const hundreds = Math.round(value * 100);
    if (hundreds / 100 !== value || Math.abs(hundreds) > 0x7fffffff || hundreds === 0) return false;
    if (hundreds < 0) this.#byte(45);
    const whole = Math.trunc(Math.abs(hundreds) / 100);
    const rest = Math.abs(hundreds) - whole * 100;
    this.integer(whole);
    if (rest === 0) return true;
    const tenths = Math.trunc(rest / 10);
    this.#byte(46);
    this.#byte(48 + tenths);
    if (rest > tenths * 10) this.#byte(48 + rest - tenths * 10);
    return true;
  }

  /** A moment in milliseconds since 1970; not NaN. */
  moment(time: number): void {
    this.#reserve(dateBytes);
    this.#at = writeDate(time, this.#buffer, this.#at);
  }

  /** Escaped as COPY needs it. Gives a refusal for what no text of the database can hold; the row is to be dropped then. */
  text(text: string, column: TargetColumn): Refusal | undefined {
    return this.#letters(text, escapes) ? undefined : unstorable(text, column);
  }

  /**
   * An array's literal, each text in quotes; false, and nothing written, when other values than texts and null are among them, or
   * a text that no array can hold.
   */
  texts(cells: readonly Cell[]): boolean {
    const start = this.#at - this.#rowStart;
    this.#byte(123);
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i];
      if (i > 0) this.#byte(44);
      if (cell === null || cell === undefined) {
        this.#letters('NULL', escapes);
        continue;
      }
      this.#byte(34);
      if (typeof cell !== 'string' || !this.#letters(cell, escapesInArray)) {
        this.#at = this.#rowStart + start;
        return false;
      }
      this.#byte(34);
    }
    this.#byte(125);
    return true;
  }

  /** False, and a part of them written, when one can't be stored. */
  #letters(text: string, { letters, special }: Escapes): boolean {
    const { length } = text;
    // A UTF-16 unit takes three bytes at most, an escaped backslash within an array four.
    this.#reserve(length * 4);
    if (length > longText && !special.test(text)) {
      this.#at += this.#buffer.write(text, this.#at, 'utf8');
      return true;
    }
    const buffer = this.#buffer;
    let at = this.#at;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit < 0x80) {
        const letter = letters[unit]!;
        if (letter === 0) buffer[at++] = unit;
        else if (letter === refused) return false;
        else {
          buffer[at++] = 92;
          if (letter === quotedInArray) {
            buffer[at++] = 92;
            if (unit === 92) buffer[at++] = 92;
            buffer[at++] = unit;
          } else buffer[at++] = letter;
        }
      } else if (unit < 0x800) {
        buffer[at++] = 0xc0 | (unit >> 6);
        buffer[at++] = 0x80 | (unit & 0x3f);
      } else if ((unit & 0xf800) !== 0xd800) {
        buffer[at++] = 0xe0 | (unit >> 12);
        buffer[at++] = 0x80 | ((unit >> 6) & 0x3f);
        buffer[at++] = 0x80 | (unit & 0x3f);
      } else {
        const next = i + 1 < length ? text.charCodeAt(i + 1) : 0;
        if (unit >= 0xdc00 || (next & 0xfc00) !== 0xdc00) return false;
        const point = 0x10000 + ((unit & 0x3ff) << 10) + (next & 0x3ff);
        buffer[at++] = 0xf0 | (point >> 18);
        buffer[at++] = 0x80 | ((point >> 12) & 0x3f);
        buffer[at++] = 0x80 | ((point >> 6) & 0x3f);
        buffer[at++] = 0x80 | (point & 0x3f);
        i++;
      }
    }
    this.#at = at;
    return true;
  }

  endRow(): void {
    this.#byte(10);
    this.#rowStart = this.#at;
  }

  /** Takes back what was written since the last row ended. */
  dropRow(): void {
    this.#at = this.#rowStart;
  }

  /** Whole rows, in chunks; with `last`, all of them. To be given back to the pool. */
  take(last: boolean): Buffer[] {
    const chunks = this.#full.splice(0);
    if (last && this.#rowStart > 0) {
      chunks.push(this.#buffer.subarray(0, this.#rowStart));
      this.#buffer = Buffer.alloc(0);
      this.#at = 0;
      this.#rowStart = 0;
    }
    return chunks;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#at++] = value;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes > this.#buffer.length) this.#moveOn(bytes);
  }

  /** Goes on in a larger buffer, or, once it is a chunk, in a new one, leaving behind the rows that are whole. */
  #moveOn(room: number): void {
    const whole = this.#buffer.length < chunkBytes ? 0 : this.#rowStart;
    const kept = this.#buffer.subarray(whole, this.#at);
    const needed = Math.max(kept.length + room, 256, Math.min(this.#buffer.length * 4, chunkBytes));
    const next = needed === chunkBytes ? this.#pool.take() : Buffer.allocUnsafeSlow(needed);
    kept.copy(next);
    if (whole > 0) this.#full.push(this.#buffer.subarray(0, whole));
    else this.#pool.give(this.#buffer);
    this.#buffer = next;
    this.#at = kept.length;
    this.#rowStart -= whole;
  }
}

const refused = 1;
/** Within the quotes of an array's literal: a backslash before a quote or backslash, which COPY reads two of as one. */
const quotedInArray = 2;

interface Escapes {
  /** What stands behind the backslash for a character of ASCII, or one of the above; 0 where it needs none. */
  readonly letters: Uint8Array;
  /** Whether a text has anything that is not written as it is. */
  readonly special: RegExp;
}

const escapes: Escapes = { letters: new Uint8Array(128), special: /[\\\t\n\r\0\ud800-\udfff]/ };
escapes.letters[0] = refused;
for (const [character, letter] of ['\\\\', '\tt', '\nn', '\rr'])
  escapes.letters[character!.charCodeAt(0)] = letter!.charCodeAt(0);

const escapesInArray: Escapes = { letters: Uint8Array.from(escapes.letters), special: /["\\\t\n\r\0\ud800-\udfff]/ };
for (const character of '"\\') escapesInArray.letters[character.charCodeAt(0)] = quotedInArray;

/** What no text of the database can hold, whatever its type. */
export function unstorable(text: string, column: TargetColumn): Refusal | undefined {
  if (text.includes('\0'))
    return {
      code: '22021',
      reason: `column "${column.name}" has a NUL character, which PostgreSQL can't store`,
      column: column.name,
    };
  if (/\p{Surrogate}/u.test(text))
    return {
      code: '22021',
      reason: `column "${column.name}" has half of a surrogate pair, which is no character`,
      column: column.name,
    };
  return undefined;
}
