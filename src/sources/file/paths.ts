import { statSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { ConfigError, SourceError } from '../../errors.js';
import type { FoundFile } from './store.js';

/** Standard input, in place of a path. */
export const standardInput = '-';

/** The paths that a path or a glob stands for, sorted. @throws ConfigError for a glob that finds nothing. */
export async function expand(path: string): Promise<string[]> {
  if (!isPattern(path)) return [path];
  // A file whose name only looks like a glob is that file.
  if (await exists(path)) return [path];
  const { glob } = await import('tinyglobby');
  const matches = await glob(path, { expandDirectories: false, onlyFiles: true, absolute: isAbsolute(path) });
  if (matches.length === 0) throw new ConfigError('no-files', `no file matches ${path} (from ${process.cwd()})`);
  return matches.sort();
}

/** May be a glob. */
export function isPattern(path: string): boolean {
  return /[*?[\]{}()!]/.test(path);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

/** Throws SourceError when it can't be read. */
export async function lookAt(path: string, gzip: boolean | undefined): Promise<FoundFile> {
  const key = resolve(path);
  try {
    const state = await stat(path);
    if (state.isDirectory()) throw directoryError(path);
    // A pipe gives its bytes once: they are looked at when it is read.
    if (!state.isFile()) return { path, key, gzip };
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
      return { path, key, size: state.size, gzip: gzip ?? (bytesRead === 2 && isGzip(buffer)) };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(path, error);
  }
}

/** False as well when it can't be looked at. */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

export function directoryError(path: string): SourceError {
  return new SourceError('is-a-directory', `${path} is a directory: name its files, such as ${join(path, '*.csv')}`);
}

/** By the magic bytes of RFC 1952. */
export function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

const remedies: Readonly<Record<string, readonly [code: string, message: string]>> = {
  ENOENT: ['no-such-file', 'there is no such file'],
  EACCES: ['no-permission', 'it may not be read by this user'],
  EISDIR: ['is-a-directory', 'it is a directory'],
  ENOTDIR: ['no-such-file', 'a part of its path is no directory'],
  EMFILE: ['too-many-open-files', 'this process has too many files open'],
};

/** What Node.js said of a file, as a SourceError. */
export function fileError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  if (error instanceof SourceError) return error;
  const [code, message] = remedies[error.code] ?? ['read-failed', error.message];
  return new SourceError(code, `${path} can't be read: ${message}`, { cause: error });
}
