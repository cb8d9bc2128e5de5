import type { ByteStream } from '../../../formats/bytes.js';
import type { BufferPool } from '../buffer-pool.js';
import { step } from '../file-bytes.js';
import type { S3 } from './client.js';
import { Download, type StoredObject } from './download.js';

/** An object's bytes in the pool's buffers, after its first ones, `head`, which were had already. */
export function objectBytes(
  s3: S3,
  object: StoredObject,
  head: Buffer,
  pool: BufferPool,
  signal: AbortSignal,
): ByteStream {
  let position = 0;

  async function* read(): AsyncGenerator<Buffer, void> {
    let download: Download | undefined;
    try {
      if (position === 0 && head.length > 0) {
        position = head.length;
        yield head;
      }
      while (position < object.size) {
        signal.throwIfAborted();
        if (download?.position !== position) {
          download?.close();
          download = new Download(s3, object, position, object.size, signal);
        }
        const bytes = await fill(download, pool);
        position += bytes.length;
        yield bytes;
      }
    } finally {
      download?.close();
    }
  }

  return {
    [Symbol.asyncIterator]: read,
    seek(offset) {
      position = offset;
    },
  };
}

/** The first bytes of an object, as many as one read gives. */
export async function firstBytes(s3: S3, object: StoredObject, pool: BufferPool, signal: AbortSignal): Promise<Buffer> {
  const download = new Download(s3, object, 0, Math.min(step, object.size), signal);
  try {
    return await fill(download, pool);
  } finally {
    download.close();
  }
}

async function fill(download: Download, pool: BufferPool): Promise<Buffer> {
  const buffer = pool.take();
  const filled = await download.fill(buffer);
  if (filled >= step / 2) return buffer.subarray(0, filled);
  // The end of an object, or a small one, must not hold the whole buffer.
  const little = Buffer.from(buffer.subarray(0, filled));
  pool.giveBack(buffer);
  return little;
}
