import { pause } from '../../pause.js';

/** Spaces requests evenly, and holds all of them back when the server asks for quiet. */
export class Pace {
  readonly #gap: number;
  #next = 0;
  #quietUntil = 0;

  /** @param rate requests a second; undefined for no bound. */
  constructor(rate: number | undefined) {
    this.#gap = rate === undefined ? 0 : 1000 / rate;
  }

  /** Resolves when the next request may start. */
  async turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    for (;;) {
      const now = performance.now();
      if (this.#quietUntil > now) {
        await pause(this.#quietUntil - now, signal);
        continue;
      }
      if (this.#gap === 0) return;
      const start = Math.max(now, this.#next);
      this.#next = start + this.#gap;
      await pause(start - now, signal);
      if (this.#quietUntil <= performance.now()) return;
    }
  }

  /** No request starts for so many milliseconds. */
  hold(milliseconds: number): void {
    this.#quietUntil = Math.max(this.#quietUntil, performance.now() + milliseconds);
  }
}
