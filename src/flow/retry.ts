import { setTimeout as sleep } from 'node:timers/promises';

/** Pauses between tries: they double from `first` to `longest`, and each is drawn evenly from the upper half of it. */
export interface Backoff {
  /** Milliseconds. */
  readonly first: number;
  readonly longest: number;
  /** No further try once this long has passed since the first failure. */
  readonly total: number;
}

/** Half of the pause is jitter, so that workers that failed together do not come back together. */
export function pauseBefore(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  const ceiling = Math.min(backoff.longest, backoff.first * 2 ** (attempt - 1));
  return ceiling * (0.5 + random() / 2);
}

/** Waits before try `attempt` (1 is the first repetition). @throws the signal's reason when it is aborted first. */
export async function pause(attempt: number, backoff: Backoff, signal: AbortSignal): Promise<void> {
  try {
    await sleep(pauseBefore(attempt, backoff), undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
