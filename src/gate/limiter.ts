import type { Limit, Sample } from '../contract/index.js';

/** The right to have one batch in flight. */
export interface Permit {
  /** Gives it back with what was seen. A second call does nothing. */
  release(seen: { rows: number; bytes: number; outcome: Sample['outcome'] }): void;
}

/** The gate: holds the permits that its limit allows, and tells the limit what each one saw. */
export class Limiter {
  readonly #limit: Limit;
  readonly #now: () => number;
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(limit: Limit, now: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#now = now;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get limit(): number {
    return this.#limit.current;
  }

  /** Resolves when a permit is free, in the order of asking. @throws the signal's reason when it is aborted first. */
  async acquire(signal: AbortSignal): Promise<Permit> {
    signal.throwIfAborted();
    if (this.#inFlight < this.#limit.current && this.#waiting.length === 0) return this.#grant(false);
    return new Promise((resolve, reject) => {
      const admitted = () => {
        signal.removeEventListener('abort', aborted);
        resolve(this.#grant(true));
      };
      const aborted = () => {
        this.#waiting.splice(this.#waiting.indexOf(admitted), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', aborted, { once: true });
      this.#waiting.push(admitted);
    });
  }

  #grant(saturated: boolean): Permit {
    this.#inFlight += 1;
    const inFlight = this.#inFlight;
    const startedAt = this.#now();
    let released = false;
    return {
      release: ({ rows, bytes, outcome }) => {
        if (released) return;
        released = true;
        this.#inFlight -= 1;
        this.#limit.onSample({ startedAt, endedAt: this.#now(), inFlight, rows, bytes, outcome, saturated });
        // As many as the limit allows now: it may have risen by more than one, or fallen.
        while (this.#inFlight < this.#limit.current && this.#waiting.length > 0) this.#waiting.shift()?.();
      },
    };
  }
}
