import { randomBytes } from 'node:crypto';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { explain } from './explain.js';

/** Where a run keeps its files when nobody says where: `runs/2026-01-31T12-00-00Z-3f9a1c`. */
export function defaultRunDir(now: Date): string {
  const time = now
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-');
  return join('runs', `${time}-${randomBytes(3).toString('hex')}`);
}

/** Makes the folder. Where it can't be made or written to, says so by `warn`, and the run goes on without one. */
export function makeRunDir(directory: string, warn: (text: string) => void): string | undefined {
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
    return directory;
  } catch (error) {
    warn(
      `The run folder ${directory} can't be written to, so this run leaves no log, report or rejects file ` +
        `(${explain(error)}). Name another with --run-dir.`,
    );
    return undefined;
  }
}
