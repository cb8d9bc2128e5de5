import type { Limit, Sample } from '../contract/index.js';
import { Level } from './level.js';

/** The right to have one batch in flight. */
export interface Permit {
  /**
   * A try has failed, and there will be another; with `throttled`, what the target said when it turned the try away, which
   * the limit is told at once.
   */
  setBack(throttled?: string): void;
  /** Gives it back with what was seen. A second call does nothing. */
  release(seen: { rows: number; bytes: number; outcome: 'written' | 'failed' }): void;
}

/** The gate: holds the permits that its limit allows, and tells the limit what each one saw. */
export class Limiter {
  readonly #limit: Limit;
  readonly #now: () => number;
  readonly #waiting: (() => void)[] = [];
  /** The batches in flight that were not set back, the oldest first. */
  readonly #underWay = new Set<{ readonly startedAt: number }>();
  readonly #inFlight = new Level();
  /** 1 while somebody is waiting, else 0. */
  readonly #crowded = new Level();

  /** `now` is a monotonic clock in milliseconds. */
  constructor(limit: Limit, now: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#now = now;
  }

  get inFlight(): number {
    return this.#inFlight.value;
  }

  get limit(): number {
    return this.#limit.current;
  }

  get #free(): boolean {
    return this.inFlight < this.limit && this.#waiting.length === 0;
  }

  /** Resolves when a permit is free, in the order of asking. @throws the signal's reason when it is aborted first. */
  async acquire(signal: AbortSignal): Promise<Permit> {
    signal.throwIfAborted();
    if (this.#free) return this.#grant();
    return await new Promise((resolve, reject) => {
      const withdraw = this.request((permit) => {
        signal.removeEventListener('abort', aborted);
        resolve(permit);
      });
      function aborted() {
        withdraw();
        reject(signal.reason);
      }
      signal.addEventListener('abort', aborted, { once: true });
    });
  }

  /** As acquire, but calls `granted`: now, when a permit is free. What it returns withdraws a request not yet granted. */
  request(granted: (permit: Permit) => void): () => void {
    if (this.#free) {
      granted(this.#grant());
      return () => {};
    }
    const admit = () => granted(this.#grant());
    this.#change(() => this.#waiting.push(admit));
    return () => {
      const index = this.#waiting.indexOf(admit);
      if (index >= 0) this.#change(() => this.#waiting.splice(index, 1));
    };
  }

  /** Changes who is waiting, and keeps the time. */
  #change(act: () => void): void {
    act();
    this.#crowded.set(this.#waiting.length > 0 ? 1 : 0, this.#now());
  }

  #grant(): Permit {
    const startedAt = this.#now();
    const inFlight = this.inFlight + 1;
    this.#inFlight.set(inFlight, startedAt);
    const held = this.#inFlight.sumAt(startedAt);
    const batch = { startedAt };
    this.#underWay.add(batch);
    const crowded = this.#crowded.sumAt(startedAt);
    let retried = false;
    let released = false;
    const tell = (seen: Pick<Sample, 'rows' | 'bytes' | 'outcome' | 'reason'>) => {
      const endedAt = this.#now();
      const time = endedAt - startedAt;
      const saturated = this.#crowded.sumAt(endedAt) - crowded >= time / 2;
      const meanInFlight = time > 0 ? (this.#inFlight.sumAt(endedAt) - held) / time : inFlight;
      const oldestInFlight = this.#underWay.values().next().value?.startedAt ?? endedAt;
      this.#limit.onSample({ startedAt, endedAt, oldestInFlight, inFlight, meanInFlight, saturated, retried, ...seen });
    };
    return {
      setBack: (throttled) => {
        this.#underWay.delete(batch);
        if (throttled !== undefined) tell({ rows: 0, bytes: 0, outcome: 'throttled', reason: throttled });
        retried = true;
      },
      release: ({ rows, bytes, outcome }) => {
        if (released) return;
        released = true;
        this.#inFlight.set(this.inFlight - 1, this.#now());
        this.#underWay.delete(batch);
        tell({ rows, bytes, outcome });
        // As many as the limit allows now: it may have risen by more than one, or fallen.
        while (this.inFlight < this.limit && this.#waiting.length > 0) {
          this.#change(() => this.#waiting.shift()?.());
        }
      },
    };
  }
}
