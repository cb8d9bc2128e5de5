import type { GateChange, GateEvent, GateReport } from '../contract/index.js';

/** Changes kept of the first and of the last: the account of a long load must not grow with it. */
const keptOfEach = 100;

/** What the gate did in the course of a run. */
export class GateRecord {
  readonly #startedAt: number;
  readonly #first: GateChange[] = [];
  readonly #last: GateChange[] = [];
  #leftOut = 0;
  #trials = 0;
  #least: number;
  #most: number;
  #workers: number;
  readonly #start: number;

  /** `startedAt`: of the clock of the events, milliseconds. */
  constructor(workers: number, startedAt: number) {
    this.#startedAt = startedAt;
    this.#start = workers;
    this.#workers = workers;
    this.#least = workers;
    this.#most = workers;
  }

  /** The last change, while it is news: for some seconds. */
  latest(now: number): string | undefined {
    const change = this.#last.at(-1) ?? this.#first.at(-1);
    if (change === undefined || now - this.#startedAt - change.seconds * 1000 > 5_000) return undefined;
    return describeChange(change);
  }

  add({ at, kind, of, from, to, reason }: GateEvent): GateChange {
    const seconds = Math.round(at - this.#startedAt) / 1000;
    const change = { seconds, of, from, to, reason };
    if (kind === 'trial') {
      this.#trials += 1;
      return change;
    }
    if (of === 'workers') {
      this.#workers = to;
      this.#least = Math.min(this.#least, to);
      this.#most = Math.max(this.#most, to);
    }
    if (this.#first.length < keptOfEach) {
      this.#first.push(change);
    } else {
      this.#last.push(change);
      if (this.#last.length > keptOfEach) {
        this.#last.shift();
        this.#leftOut += 1;
      }
    }
    return change;
  }

  report(batchBytes: number): GateReport {
    return {
      workers: { start: this.#start, end: this.#workers, least: this.#least, most: this.#most },
      batchBytes,
      changes: [...this.#first, ...this.#last],
      leftOut: this.#leftOut,
      trials: this.#trials,
    };
  }
}

/** `workers 12 -> 16: throughput +18 %`; of batches `batch 1.0 -> 1.4 MiB: ...`. */
export function describeChange({ of, from, to, reason }: Pick<GateChange, 'of' | 'from' | 'to' | 'reason'>): string {
  if (of === 'workers') return `workers ${from} -> ${to}: ${reason}`;
  const kibibytes = (bytes: number) => Math.round(bytes / 1024);
  return `batch ${kibibytes(from)} -> ${kibibytes(to)} KiB: ${reason}`;
}
