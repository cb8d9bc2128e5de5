import { setTimeout as sleep } from 'node:timers/promises';
import type { Checkpoint, Ledger, RunRequest } from '../contract/index.js';
import { SinkError, SluiceError } from '../errors.js';

/** Milliseconds between two looks at a job that somebody else holds. */
const look = 500;

/** What is done while another holder has the job. */
export interface Waiting {
  readonly wait: boolean;
  /** Ends the waiting. */
  readonly until: AbortSignal;
  /** Told once, with the error that names the holder. */
  tell(held: SluiceError): void;
}

/**
 * Begins the run; where another holder has the job, either says so or waits until it is free. Undefined when the waiting
 * was ended first.
 */
export async function begin(
  ledger: Ledger,
  request: RunRequest,
  { wait, until, tell }: Waiting,
  signal: AbortSignal,
): Promise<Checkpoint | undefined> {
  for (let told = false; ; told = true) {
    try {
      return await ledger.begin(request, signal);
    } catch (error) {
      if (!(error instanceof SluiceError) || error.code !== 'job-held') throw error;
      if (!wait)
        throw new SinkError(error.code, `${error.message}: wait for it, with --wait, or stop it`, { cause: error });
      if (!told) tell(error);
      await sleep(look, undefined, { signal: until }).catch(() => {});
      signal.throwIfAborted();
      if (until.aborted) return undefined;
    }
  }
}
