import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { SourceError } from '../../errors.js';
import { ByteReader, type ByteStream } from '../../formats/bytes.js';
import { isGzip } from './paths.js';

/** The bytes, decompressed where they are gzip: by their first two bytes, or as `gzip` says. */
export function gunzipped(bytes: ByteStream, gzip: boolean | undefined, path: string): ByteStream {
  if (gzip === true) return { [Symbol.asyncIterator]: () => gunzip(bytes, path) };
  if (gzip === false) return bytes;
  return { [Symbol.asyncIterator]: () => detect(bytes, path) };
}

async function* detect(bytes: ByteStream, path: string): AsyncGenerator<Uint8Array, void> {
  const reader = new ByteReader(bytes, path);
  let head = (await reader.next()) ?? Buffer.alloc(0);
  // A pipe may give one byte at first.
  if (head.length === 1) head = Buffer.concat([head, (await reader.next()) ?? Buffer.alloc(0)]);
  reader.unread(head);
  yield* isGzip(head) ? gunzip(remaining(reader), path) : remaining(reader);
}

async function* remaining(reader: ByteReader): AsyncGenerator<Uint8Array, void> {
  try {
    for (let bytes = await reader.next(); bytes; bytes = await reader.next()) yield bytes;
  } finally {
    await reader.close();
  }
}

async function* gunzip(bytes: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array, void> {
  const input = Readable.from(bytes, { highWaterMark: 1 });
  // Takes all members of a file of several.
  const output = createGunzip({ chunkSize: 256 * 1024 });
  input.once('error', (error) => output.destroy(error));
  input.pipe(output);
  try {
    for await (const piece of output) yield piece;
  } catch (error) {
    throw gzipError(path, error);
  } finally {
    input.destroy();
    output.destroy();
  }
}

function gzipError(path: string, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error)) return error;
  if (error.code === 'Z_BUF_ERROR') {
    const message = `${path} ends too early for gzip: it was cut off, or is still being written`;
    return new SourceError('bad-gzip', message, { cause: error });
  }
  if (error.code !== 'Z_DATA_ERROR') return error;
  // The checksum comes last: damage may show after damaged records were read.
  const message = `${path} is not valid gzip (${error.message}): records read from it before this was seen may be damaged too`;
  return new SourceError('bad-gzip', message, { cause: error });
}
