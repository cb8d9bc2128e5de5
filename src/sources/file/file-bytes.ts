import { type FileHandle, open } from 'node:fs/promises';
import { SourceError } from '../../errors.js';
import type { ByteStream } from '../../formats/bytes.js';
import type { BufferPool } from './buffer-pool.js';
import { fileError } from './paths.js';

/** Bytes of a read, and of a pool's buffers. */
export const step = 256 * 1024;

/**
 * A file's bytes in the pool's buffers, one read ahead of the consumer. Throws SourceError when the file turns out
 * shorter than `size`, which is what it had when the load began; a pipe has no size, and can't seek.
 */
export function fileBytes(path: string, size: number | undefined, pool: BufferPool, signal: AbortSignal): ByteStream {
  let position = 0;

  async function* read(): AsyncGenerator<Buffer, void> {
    const file = await openFile(path);
    let ahead: { at: number; bytes: Promise<Buffer> } | undefined;
    const readAt = (at: number) => {
      const bytes = readStep(file, size === undefined ? null : at, pool);
      // Whoever awaits it gets the error; when nobody does, it must not end the process.
      bytes.catch(() => {});
      return { at, bytes };
    };
    try {
      for (;;) {
        signal.throwIfAborted();
        if (ahead?.at !== position) {
          await ahead?.bytes;
          ahead = readAt(position);
        }
        const bytes: Buffer = await ahead.bytes;
        if (bytes.length === 0) break;
        position += bytes.length;
        ahead = readAt(position);
        yield bytes;
      }
    } catch (error) {
      throw fileError(path, error);
    } finally {
      await ahead?.bytes.catch(() => {});
      await file.close();
    }
    if (size !== undefined && position < size) throw shrank(path, position, size);
  }

  const stream = { [Symbol.asyncIterator]: read };
  if (size === undefined) return stream;
  const seek = (offset: number) => {
    if (offset > size) throw shrank(path, size, offset);
    position = offset;
  };
  return { ...stream, seek };
}

/** Standard input as it comes; let go of when the consumer stops or `signal` says so. */
export async function* standardInputBytes(signal: AbortSignal): AsyncGenerator<Buffer, void> {
  const input = process.stdin;
  const stop = () => input.destroy(signal.reason);
  signal.throwIfAborted();
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const bytes of input) yield bytes;
  } catch (error) {
    throw fileError('standard input', error);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

async function readStep(file: FileHandle, at: number | null, pool: BufferPool): Promise<Buffer> {
  const buffer = pool.take();
  const { bytesRead } = await file.read(buffer, 0, step, at);
  if (bytesRead >= step / 2) return buffer.subarray(0, bytesRead);
  // A pipe gives little at a time; that must not hold the whole buffer.
  const little = Buffer.from(buffer.subarray(0, bytesRead));
  pool.giveBack(buffer);
  return little;
}

function shrank(path: string, end: number, expected: number): SourceError {
  return new SourceError(
    'source-shrank',
    `${path} ends at byte ${end}, but was to have ${expected}: it was changed while it was read, or since an earlier run`,
  );
}
