import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { cutRemedy, UnreadableBody } from './failure.js';

const unpackers = new Map([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
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
    return await unpacker(bytes);
  } catch (error) {
    throw new UnreadableBody('truncated-body', `gave ${name} data that can not be unpacked`, {
      remedy: cutRemedy,
      cause: error,
    });
  }
}
