import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Bytes looked at from either end. */
const ends = 64 * 1024;

/**
 * What changes when a file does: its size, its time, and a hash of its head and tail. Undefined for what is no regular
 * file, such as a pipe.
 */
export async function fingerprintOf(path: string): Promise<string | undefined> {
  await using file = await open(path, 'r');
  const stat = await file.stat();
  if (!stat.isFile()) return undefined;
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(ends);
  for (const position of stat.size > ends ? [0, stat.size - ends] : [0]) {
    const { bytesRead } = await file.read(buffer, 0, ends, position);
    hash.update(buffer.subarray(0, bytesRead));
  }
  return `${stat.size} ${stat.mtime.toISOString()} ${hash.digest('hex').slice(0, 32)}`;
}
