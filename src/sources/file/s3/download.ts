import { Readable } from 'node:stream';
import { SourceError } from '../../../errors.js';
import { pause } from '../../../pause.js';
import type { S3 } from './client.js';
import { changed, isTransient, s3Error } from './errors.js';

/** An object as it was when it was found. */
export interface StoredObject {
  readonly path: string;
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  readonly size: number;
}

/** Tries in a row that bring not one byte; between them is a pause that doubles, in milliseconds. */
const tries = 6;
const firstPause = 100;
/** Milliseconds without a byte after which a line counts as broken. */
const silence = 30_000;

const nothing = Buffer.alloc(0);

/**
 * The bytes of an object from one up to another. Where the line breaks, they are asked for anew from the byte where it
 * broke. Nothing is read that nobody asks for, beyond what lies in the line's own buffers: TCP holds the store back.
 */
export class Download {
  readonly #s3: S3;
  readonly #object: StoredObject;
  readonly #end: number;
  readonly #signal: AbortSignal;
  /** Offset of the next byte that the store is to send. */
  #arrived: number;
  /** What has arrived and was not asked for yet. */
  #rest: Buffer = nothing;
  #body: { readonly stream: Readable; readonly pieces: AsyncIterator<unknown> } | undefined;

  constructor(s3: S3, object: StoredObject, start: number, end: number, signal: AbortSignal) {
    this.#s3 = s3;
    this.#object = object;
    this.#arrived = start;
    this.#end = end;
    this.#signal = signal;
  }

  /** Offset of the next byte to come. */
  get position(): number {
    return this.#arrived - this.#rest.length;
  }

  /** Fills the buffer from its start, and says how far: to its end, unless the bytes end before. */
  async fill(buffer: Buffer): Promise<number> {
    let filled = 0;
    while (filled < buffer.length && this.position < this.#end) {
      if (this.#rest.length === 0) this.#rest = await this.#next();
      const taken = this.#rest.copy(buffer, filled);
      this.#rest = this.#rest.subarray(taken);
      filled += taken;
    }
    return filled;
  }

  close(): void {
    const stream = this.#body?.stream;
    this.#body = undefined;
    // Once it was read to its end, the connection serves others.
    if (stream !== undefined && !stream.readableEnded) stream.on('error', () => {}).destroy();
  }

  async #next(): Promise<Buffer> {
    for (let failed = 0; ; ) {
      try {
        const piece = await this.#piece();
        this.#arrived += piece.length;
        return piece;
      } catch (error) {
        this.close();
        this.#signal.throwIfAborted();
        failed += 1;
        if (!isTransient(error) || failed >= tries) throw s3Error(this.#object.path, error);
        await pause(Math.random() * firstPause * 2 ** failed, this.#signal);
      }
    }
  }

  async #piece(): Promise<Buffer> {
    const stop = new AbortController();
    const hangUp = (reason: unknown) => {
      stop.abort(reason);
      this.#body?.stream.destroy();
    };
    const timer = setTimeout(() => hangUp(new Error(`nothing came for ${silence / 1000} s`)), silence);
    const abort = () => hangUp(this.#signal.reason);
    this.#signal.addEventListener('abort', abort, { once: true });
    try {
      this.#body ??= await this.#request(stop.signal);
      const { value, done } = await this.#body.pieces.next();
      if (done === true) throw new Error('the store ended it too early');
      if (Buffer.isBuffer(value)) return value;
      throw new Error('the client of S3 gave no bytes');
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', abort);
    }
  }

  async #request(abortSignal: AbortSignal): Promise<{ stream: Readable; pieces: AsyncIterator<unknown> }> {
    const { client, sdk } = this.#s3;
    const { path, bucket, key, etag } = this.#object;
    const range = `bytes=${this.#arrived}-${this.#end - 1}`;
    const { Body, ETag } = await client.send(
      new sdk.GetObjectCommand({ Bucket: bucket, Key: key, Range: range, IfMatch: etag }),
      { abortSignal },
    );
    if (!(Body instanceof Readable)) throw new SourceError('read-failed', `${path}: the client of S3 gave no stream`);
    const stream: Readable = Body;
    if (ETag === etag) return { stream, pieces: stream[Symbol.asyncIterator]() };
    stream.on('error', () => {}).destroy();
    // There are stores that do not know If-Match.
    throw changed(path);
  }
}
