import { open, readdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { makeFolder } from '../../make-folder.js';

/** Makes names in a folder durable. Windows has no such call, and keeps them itself. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes a folder and those above it, durably. */
export async function makeDurableFolder(path: string): Promise<void> {
  const first = await makeFolder(path);
  if (first === undefined) return;
  for (let made = resolve(path); ; made = dirname(made)) {
    await syncFolder(dirname(made));
    if (made === first) return;
  }
}

/** Names in a folder, in order; none where there is no folder of this name. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return [];
    throw error;
  }
}

/** Any word as a name for a file, on any system, and never one that leads out of its folder. */
export function fileName(word: string): string {
  return encodeURIComponent(word).replaceAll(/[.*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Whether an error is the system's, of this code. */
export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
