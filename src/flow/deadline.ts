import type { Stop } from './stop.js';

/** Milliseconds between two looks at the time that is left. */
const look = 25;
/** Kept for what nobody measures: a collection of garbage, a busy processor, the way back to the host. Milliseconds. */
const margin = 250;
/** Taken for the time of a batch until one has ended. Milliseconds. */
const firstGuess = 250;
/** Batches whose times count: what was slow long ago does not. */
const remembered = 64;

/**
 * Stops a run before its process is ended from outside, in three steps, each as late as the measured times allow: the
 * reading ends while what was read can still be written; then no batch is started any more; at last those in flight are
 * given up, so that the ledger hears how the run ended.
 */
export class Deadline implements Disposable {
  readonly #remaining: () => number;
  readonly #stop: Stop;
  /** What there was at the start: however slow the batches, a good part of it is worked. */
  readonly #whole: number;
  readonly #ticking: NodeJS.Timeout;
  readonly #times: number[] = [];
  /** When each batch in flight began. */
  readonly #begun = new Set<{ readonly at: number }>();
  #transaction = 0;

  constructor(remaining: () => number, stop: Stop) {
    this.#remaining = remaining;
    this.#stop = stop;
    this.#whole = remaining();
    this.#ticking = setInterval(() => this.look(), look);
    this.look();
  }

  /** A batch is on its way, until what this gives is disposed. */
  batch(): Disposable {
    const begun = { at: performance.now() };
    this.#begun.add(begun);
    return {
      [Symbol.dispose]: () => {
        this.#begun.delete(begun);
        this.#times.push(performance.now() - begun.at);
        if (this.#times.length > remembered) this.#times.shift();
      },
    };
  }

  /** The time of a transaction such as the one that ends the run. */
  took(milliseconds: number): void {
    this.#transaction = Math.max(this.#transaction, milliseconds);
  }

  look(): void {
    const left = this.#remaining();
    // To end the run, to close, and once more for either.
    const closing = Math.min(margin + 3 * this.#transaction, this.#whole / 4);
    const batch = this.#longest();
    if (left <= closing) this.#stop.giveUp();
    else if (left <= Math.min(closing + 1.5 * batch, this.#whole / 3)) this.#stop.endDispatching();
    // Those in flight, what the channel holds, and the one that waits for a permit.
    else if (left <= Math.min(closing + 3 * batch, this.#whole / 2)) this.#stop.endReading();
  }

  #longest(): number {
    const now = performance.now();
    const flying = [...this.#begun].map(({ at }) => now - at);
    return Math.max(...(this.#times.length > 0 ? this.#times : [firstGuess]), ...flying);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#ticking);
  }
}
