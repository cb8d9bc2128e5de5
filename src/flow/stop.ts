import { setMaxListeners } from 'node:events';
import { InDoubt, SluiceError } from '../errors.js';

/** What a wait ends with that was cut off for want of time: no failure. */
export const outOfTime = new SluiceError('out-of-time', 'the time this load was given is over');

/** The ways a run is stopped before its end, from the gentlest to the hardest. */
export class Stop {
  readonly #reading = new AbortController();
  readonly #dispatching = new AbortController();
  readonly #writing = new AbortController();
  readonly #abandon: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #drain: AbortSignal | undefined;
  #cause: unknown;
  #graceOver: NodeJS.Timeout | undefined;
  #cutOff = false;

  /** `signal` abandons everything; `drain` ends the reading. */
  constructor(signal: AbortSignal | undefined, drain: AbortSignal | undefined) {
    this.#signal = signal;
    this.#drain = drain;
    // Every wait of every batch listens for the end; Node.js would take that for a leak from the eleventh on.
    setMaxListeners(0, this.reading, this.dispatching, this.writing);
    this.#abandon = () => {
      this.#cause ??= signal?.reason;
      for (const part of [this.#reading, this.#dispatching, this.#writing]) part.abort(signal?.reason);
    };
    if (signal?.aborted) this.#abandon();
    if (drain?.aborted) this.endReading();
    signal?.addEventListener('abort', this.#abandon, { once: true });
    drain?.addEventListener('abort', this.endReading, { once: true });
  }

  /** Aborted when no more is to be read. */
  get reading(): AbortSignal {
    return this.#reading.signal;
  }
  /** Aborted when no further batch is to be started. */
  get dispatching(): AbortSignal {
    return this.#dispatching.signal;
  }
  /** Aborted when batches in flight are to be given up. */
  get writing(): AbortSignal {
    return this.#writing.signal;
  }
  /** Why the run was stopped hard; undefined when it was not. */
  get cause(): unknown {
    return this.#cause;
  }

  /** Whether something was left undone for want of time. */
  get cutOff(): boolean {
    return this.#cutOff;
  }
  /** Whether batches in flight were given up for want of time. */
  get gaveUp(): boolean {
    return this.writing.reason === outOfTime;
  }

  readonly endReading = (): void => {
    this.#reading.abort(new Error('reading was ended'));
  };

  /** For want of time: starts nothing new. What was read and not sent is left to whoever goes on. */
  endDispatching(): void {
    this.endReading();
    this.#dispatching.abort(outOfTime);
  }

  /** For want of time: gives up what is in flight, which rolls back. */
  giveUp(): void {
    this.endDispatching();
    this.#writing.abort(outOfTime);
  }

  /** Starts nothing new; what is in flight may end, within `grace` milliseconds. */
  halt(cause: unknown, grace: number): void {
    // What fails once everything was given up, fails because of that; unless rows may have landed without an account.
    if (cause === outOfTime || (this.gaveUp && !(cause instanceof InDoubt))) {
      this.#cutOff = true;
      return;
    }
    // What may have landed and is not accounted for outweighs why it was stopped.
    if (this.#cause !== undefined && !(cause instanceof InDoubt)) return;
    this.#cause = cause;
    this.#reading.abort(cause);
    this.#dispatching.abort(cause);
    this.#graceOver ??= setTimeout(() => this.#writing.abort(cause), grace);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#graceOver);
    this.#signal?.removeEventListener('abort', this.#abandon);
    this.#drain?.removeEventListener('abort', this.endReading);
  }
}
