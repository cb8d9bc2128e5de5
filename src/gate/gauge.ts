import type { Sample } from '../contract/index.js';

/** What was seen at one setting of the gate. */
export interface Reading {
  /** Rows a millisecond, all batches in flight together. */
  readonly rate: number;
  /** Standard error of the rate, as a share of it, were batches independent of each other. */
  readonly error: number;
  /** Milliseconds a batch took: half of them took less. */
  readonly median: number;
  /** False when the source was the slow part: permits lay idle. */
  readonly saturated: boolean;
}

export interface WindowSize {
  /** Batches that end within it, at least; after four times its time, half as many will do. */
  readonly batches: number;
  /** Milliseconds it lasts, at least. */
  readonly time: number;
  /** Whether a reading is sure enough. Until it is, the window goes on to at most four times its time. */
  sure(rate: number, error: number): boolean;
  /** Milliseconds after which it ends with whatever was seen. */
  readonly patience: number;
}

/**
 * Measures throughput by Little's law (L = λW; J. D. C. Little, Operations Research 9(3), 1961): batches in flight on average,
 * times the rows of a batch, over the time one takes. To count what lands within a window would be a batch's worth off at each
 * end, and there may be no more than a few in it. Only batches that were started at the present setting count, and none that
 * had to wait for a connection to be made.
 */
export class Gauge {
  /** Batches that are to end before one counts. */
  #settling: number;
  #since = Number.NEGATIVE_INFINITY;
  #openedAt: number | undefined;
  /** Permits that have been out at once: so many connections are made. */
  #warm = 0;
  #rows = 0;
  #inFlight = 0;
  #saturated = 0;
  #times: number[] = [];

  constructor(settling: number) {
    this.#settling = settling;
  }

  /** From now on another setting holds. What ends before `settling` batches have ended was still under way with others. */
  restart(now: number, settling: number): void {
    this.#settling = settling;
    this.#since = now;
    this.#open(now);
  }

  /** What was seen, once a window is full; the next one begins. */
  add({ startedAt, endedAt, inFlight, rows, saturated }: Sample, size: WindowSize): Reading | undefined {
    this.#openedAt ??= startedAt;
    const cold = inFlight > this.#warm;
    if (cold) this.#warm = inFlight;
    if (this.#settling > 0) {
      this.#settling -= 1;
      this.#since = endedAt;
      return undefined;
    }
    if (cold || startedAt < this.#since) return undefined;
    this.#rows += rows;
    this.#inFlight += inFlight;
    if (saturated) this.#saturated += 1;
    this.#times.push(endedAt - startedAt);
    const elapsed = endedAt - this.#openedAt;
    const { length } = this.#times;
    if (length >= 2 && elapsed >= size.patience) return this.#read(endedAt);
    if (elapsed >= 4 * size.time) return length >= size.batches / 2 ? this.#read(endedAt) : undefined;
    if (length < size.batches || elapsed < size.time) return undefined;
    return size.sure(this.#rate(), this.#error()) ? this.#read(endedAt) : undefined;
  }

  #read(now: number): Reading {
    const times = this.#times.sort((a, b) => a - b);
    const reading = {
      rate: this.#rate(),
      error: this.#error(),
      median: times[times.length >> 1] ?? 0,
      saturated: this.#saturated >= times.length / 2,
    };
    this.#open(now);
    return reading;
  }

  #rate(): number {
    return ((this.#inFlight / this.#times.length) * this.#rows) / Math.max(sum(this.#times), 1e-3);
  }

  #error(): number {
    const { length } = this.#times;
    const mean = sum(this.#times) / length;
    const squares = this.#times.reduce((total, time) => total + (time - mean) ** 2, 0);
    return Math.sqrt(squares) / (length * Math.max(mean, 1e-6));
  }

  #open(now: number): void {
    this.#openedAt = now;
    this.#rows = 0;
    this.#inFlight = 0;
    this.#saturated = 0;
    this.#times = [];
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
