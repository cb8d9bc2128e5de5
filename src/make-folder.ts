import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder and those above it, and resolves to the topmost it made; undefined when it was there. Not by Node.js's own
 * `recursive`, which never returns where a folder exists and can have none in it, as in /proc.
 * @throws the system's error, of the folder that can't be made.
 */
export async function makeFolder(path: string): Promise<string | undefined> {
  const folder = resolve(path);
  if (await made(folder, 'ENOENT')) return folder;
  if (await isFolder(folder)) return undefined;
  const above = await makeFolder(dirname(folder));
  return (await made(folder)) ? (above ?? folder) : above;
}

/** False when it was there already, or the error is of the code that is put up with. */
async function made(folder: string, code?: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === code) return false;
    // Not by the code: of a folder that is there, systems also say that it is read-only, or forbidden.
    if (await isFolder(folder)) return false;
    throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
