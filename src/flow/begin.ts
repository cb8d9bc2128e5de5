import { setTimeout as sleep } from 'node:timers/promises';
import type { Checkpoint, Ledger, Log, RunRequest } from '../contract/index.js';
import { SluiceError } from '../errors.js';

/** Milliseconds between two looks at a job that somebody else holds. */
const look = 500;

/** Begins the run; where another holder has the job, either says so or waits until it is free. */
export async function begin(
  ledger: Ledger,
  request: RunRequest,
  wait: boolean,
  signal: AbortSignal,
  log: Log,
): Promise<Checkpoint> {
  for (let told = false; ; told = true) {
    try {
      return await ledger.begin(request, signal);
    } catch (error) {
      if (!wait || !(error instanceof SluiceError) || error.code !== 'job-held') throw error;
      if (!told) log.info({}, `waiting: ${error.message}`);
      await sleep(look, undefined, { signal });
    }
  }
}
