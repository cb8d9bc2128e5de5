import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../make-folder.js';
import { explain } from './explain.js';

/** Where a run keeps its files when nobody says where: `runs/20260131T120000-3f9a1c`. */
export function defaultRunDir(run: string): string {
  return join('runs', run);
}

/** Makes the folder. Where it can't be made or written to, says so by `warn`, and the run goes on without one. */
export async function makeRunDir(directory: string, warn: (text: string) => void): Promise<string | undefined> {
  try {
    await makeFolder(directory);
    await access(directory, constants.W_OK);
    return directory;
  } catch (error) {
    warn(
      `The run folder ${directory} can't be written to, so this run leaves no log, report or rejects file ` +
        `(${explain(error)}). Name another with --run-dir.`,
    );
    return undefined;
  }
}
