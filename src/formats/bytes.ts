import { isUtf8 } from 'node:buffer';
import type { ResumePoint } from '../contract/index.js';
import { SourceError } from '../errors.js';

/** The bytes of one file from its start, after decompression. Each buffer is the reader's to keep. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  /** Where it costs nothing: the next buffer to come starts at this offset. Called between two buffers only. */
  seek?(offset: number): void;
}

/** Reads a ByteStream buffer by buffer, and knows where it stands. */
export class ByteReader {
  readonly #stream: ByteStream;
  readonly #name: string;
  readonly #iterator: AsyncIterator<Uint8Array>;
  #held: Buffer | undefined;
  #offset = 0;

  constructor(stream: ByteStream, name: string) {
    this.#stream = stream;
    this.#name = name;
    this.#iterator = stream[Symbol.asyncIterator]();
  }

  /** Offset of the next byte to come. */
  get offset(): number {
    return this.#offset;
  }

  /** The next bytes, never an empty buffer; undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    const held = this.#held;
    if (held) {
      this.#held = undefined;
      this.#offset += held.length;
      return held;
    }
    for (;;) {
      const step = await this.#iterator.next();
      if (step.done) return undefined;
      if (step.value.length === 0) continue;
      this.#offset += step.value.length;
      return asBuffer(step.value);
    }
  }

  /** Gives back the last bytes that were read, to come again. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#held = bytes;
    this.#offset -= bytes.length;
  }

  /** Passes over everything before `offset`. Throws SourceError when the bytes end before it. */
  async skipTo(offset: number): Promise<void> {
    while (this.#offset < offset) {
      if (this.#stream.seek && !this.#held) {
        this.#stream.seek(offset);
        this.#offset = offset;
        return;
      }
      const bytes = await this.next();
      if (!bytes) {
        throw new SourceError(
          'source-shrank',
          `${this.#name} ends at byte ${this.#offset}, but reading was to go on at byte ${offset}: it is no longer what an earlier run read`,
        );
      }
      if (this.#offset > offset) this.unread(bytes.subarray(bytes.length - (this.#offset - offset)));
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A record's bytes for a person to read: its text, or `{ base64 }` when it is not UTF-8. */
export function recordText(bytes: Uint8Array): string | { readonly base64: string } {
  const buffer = asBuffer(bytes);
  return isUtf8(buffer) ? buffer.toString('utf8') : { base64: buffer.toString('base64') };
}

/** Length of the byte order mark at the start of a file: 3 or 0. */
export function markLength(head: Uint8Array): number {
  return head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0;
}

/** The byte offset a file's resume point stands for. */
export function resumeOffset(from: ResumePoint, name: string): number {
  const { token } = from;
  if (typeof token === 'number' && Number.isSafeInteger(token) && token >= 0) return token;
  throw new SourceError(
    'bad-resume-point',
    `${name} can't be read on from ${JSON.stringify(token)}: not a byte offset`,
  );
}

/** Records longer than this end the reading: without a bound a missing quote would take the whole file into memory. */
export const maxRecordBytes = 64 * 1024 * 1024;
