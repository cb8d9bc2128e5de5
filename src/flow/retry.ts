/** Pauses between tries: they double from `first` to `longest`, and each is drawn evenly from the upper half of it. */
export interface Backoff {
  /** Milliseconds. */
  readonly first: number;
  readonly longest: number;
  /** No further try once this long has passed since the first failure. */
  readonly total: number;
}

/** Milliseconds before try `attempt` (1 is the first repetition). Half is jitter, so that workers that failed together do not come back together. */
export function pauseBefore(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  const ceiling = Math.min(backoff.longest, backoff.first * 2 ** (attempt - 1));
  return ceiling * (0.5 + random() / 2);
}
