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
  /** Batches that are to count, at least; after four times its time, and three times that of a batch, half as many will do. */
  readonly batches: number;
  /** Milliseconds it lasts, at least. */
  readonly time: number;
  /** Whether a reading is sure enough. Until it is, the window goes on for as long. */
  sure(rate: number, error: number): boolean;
  /** Whether it is to end at once, with half the batches. */
  alarming?(rate: number, error: number): boolean;
  /** Milliseconds after which it ends with whatever was seen. */
  readonly patience: number;
}

/** A batch that may count. */
interface Seen {
  readonly startedAt: number;
  readonly time: number;
  readonly rows: number;
  readonly meanInFlight: number;
  readonly saturated: boolean;
}

/**
 * Measures throughput by Little's law (L = λW; J. D. C. Little, Operations Research 9(3), 1961): batches in flight on average,
 * times the rows of a batch, over the time one takes. To count what lands within a window would be a batch's worth off at each
 * end, and there may be no more than a few in it. In flight are those that were so while a batch lasted: when it started they may have been
 * fewer, for batches that end together are not followed by the next ones at once.
 *
 * Only batches that were started at the present setting count, and none that had to wait for a connection to be made. Nor does
 * one that was started later than another that is still under way: of batches that race each other the fast ones end first, and
 * to take the first that end would tell of a target faster than it is.
 */
export class Gauge {
  /** Batches that are to end before one counts. At the start one: what was begun before it ended made its own connection. */
  #settling = 1;
  #since = Number.NEGATIVE_INFINITY;
  #openedAt: number | undefined;
  /** Permits that have been out at once: so many connections are made. */
  #warm = 0;
  #seen: Seen[] = [];
  /** The longest time of those seen. */
  #longest = 0;

  /** From now on another setting holds. What ends before `settling` batches have ended was still under way with others. */
  restart(now: number, settling: number): void {
    this.#settling = settling;
    this.#since = now;
    this.#open(now);
  }

  /** What was seen, once a window is full; the next one begins. */
  add(
    { startedAt, endedAt, oldestInFlight, inFlight, meanInFlight, rows, saturated }: Sample,
    size: WindowSize,
  ): Reading | undefined {
    this.#openedAt ??= startedAt;
    const cold = inFlight > this.#warm;
    if (cold) this.#warm = inFlight;
    if (this.#settling > 0) {
      this.#settling -= 1;
      this.#since = endedAt;
      return undefined;
    }
    if (cold || startedAt < this.#since) return undefined;
    const time = endedAt - startedAt;
    this.#seen.push({ startedAt, time, rows, meanInFlight, saturated });
    this.#longest = Math.max(this.#longest, time);
    const elapsed = endedAt - this.#openedAt;
    const { length } = this.#seen;
    if (length >= 2 && elapsed >= size.patience) return this.#end(this.#seen, endedAt);
    if (length < size.batches / 2) return undefined;
    const counting = this.#seen.filter((batch) => batch.startedAt < oldestInFlight);
    if (counting.length < size.batches / 2) return undefined;
    if (counting.length >= 4 && size.alarming?.(rateOf(counting), errorOf(counting)))
      return this.#end(counting, endedAt);
    if (elapsed >= Math.max(4 * size.time, 3 * this.#longest)) return this.#end(counting, endedAt);
    if (counting.length < size.batches || elapsed < size.time) return undefined;
    return size.sure(rateOf(counting), errorOf(counting)) ? this.#end(counting, endedAt) : undefined;
  }

  #end(batches: readonly Seen[], now: number): Reading {
    this.#open(now);
    const times = batches.map(({ time }) => time).sort((a, b) => a - b);
    return {
      rate: rateOf(batches),
      error: errorOf(batches),
      median: times[times.length >> 1] ?? 0,
      saturated: batches.filter(({ saturated }) => saturated).length >= batches.length / 2,
    };
  }

  #open(now: number): void {
    this.#openedAt = now;
    this.#seen = [];
    this.#longest = 0;
  }
}

function rateOf(batches: readonly Seen[]): number {
  const time = sum(batches, (batch) => batch.time);
  const inFlight = sum(batches, ({ meanInFlight }) => meanInFlight) / batches.length;
  return (inFlight * sum(batches, ({ rows }) => rows)) / Math.max(time, 1e-3);
}

function errorOf(batches: readonly Seen[]): number {
  const { length } = batches;
  const mean = sum(batches, ({ time }) => time) / length;
  const squares = sum(batches, ({ time }) => (time - mean) ** 2);
  return Math.sqrt(squares) / (length * Math.max(mean, 1e-6));
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
