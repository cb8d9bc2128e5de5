import { promisify } from 'node:util';
import { brotliDecompress, brotliDecompressSync, gunzip, gunzipSync, inflate, inflateSync } from 'node:zlib';
import { cutRemedy, UnreadableBody } from './failure.js';

/** How a coding is undone. */
interface Unpacker {
  /** In a thread beside. */
  readonly aside: (bytes: Buffer) => Promise<Buffer>;
  readonly atOnce: (bytes: Buffer) => Buffer;
}

/**
 * Bytes up to which a body is unpacked at once: to hand it to a thread and back takes longer than the work. A page of 20 kB
 * takes 0.1 ms so, and 0.25 ms by a thread; what is parsed next takes more than either.
 */
const atOnceUpTo = 64 * 1024;
/** A short body that would become longer than this is a thread's work after all. */
const bounded = { maxOutputLength: 4 * 1024 * 1024 };

const unzip: Unpacker = { aside: promisify(gunzip), atOnce: (bytes) => gunzipSync(bytes, bounded) };

const unpackers: ReadonlyMap<string, Unpacker> = new Map([
  ['gzip', unzip],
  ['x-gzip', unzip],
  ['deflate', { aside: promisify(inflate), atOnce: (bytes) => inflateSync(bytes, bounded) }],
  ['br', { aside: promisify(brotliDecompress), atOnce: (bytes) => brotliDecompressSync(bytes, bounded) }],
]);

/** A body without its content coding. */
export async function unpack(bytes: Buffer, coding: string | string[] | undefined): Promise<Buffer> {
  const name = String(coding ?? 'identity').toLowerCase();
  if (name === 'identity' || bytes.length === 0) return bytes;
  const unpacker = unpackers.get(name);
  if (!unpacker)
    throw new UnreadableBody('not-json', `came in content-encoding ${name}`, {
      remedy: 'set the header accept-encoding: gzip',
    });
  try {
    return atOnce(unpacker, bytes) ?? (await unpacker.aside(bytes));
  } catch (error) {
    throw new UnreadableBody('truncated-body', `gave ${name} data that can not be unpacked`, {
      remedy: cutRemedy,
      cause: error,
    });
  }
}

/** Undefined where the body is long, or would become so. */
function atOnce(unpacker: Unpacker, bytes: Buffer): Buffer | undefined {
  if (bytes.length > atOnceUpTo) return undefined;
  try {
    return unpacker.atOnce(bytes);
  } catch (error) {
    if (Object(error).code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw error;
  }
}
