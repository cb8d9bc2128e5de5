import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../../src/contract/index.js';

/** Something that happens while records are given. */
export interface Moment {
  /** Records given before it. */
  readonly after: number;
  /** Not waited for: the records go on meanwhile. */
  act(): Promise<void>;
}

/** Records for a load that lasts, with faults in the middle of it. */
export class PacedRecords {
  readonly #least: number;
  readonly #perSecond: number;
  readonly #recordOf: (id: number) => Row;
  readonly #moments: Moment[];
  #happening: Promise<void> = Promise.resolve();
  #acting = false;

  /** `least` records, or more until all of the moments are over. */
  constructor(least: number, perSecond: number, recordOf: (id: number) => Row, moments: readonly Moment[] = []) {
    this.#least = least;
    this.#perSecond = perSecond;
    this.#recordOf = recordOf;
    this.#moments = [...moments];
  }

  /** Records 0, 1, 2 ... in groups, no faster than was said. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Row[]> {
    const group = Math.max(1, Math.floor(this.#perSecond / 50));
    const most = this.#least * 20;
    const started = performance.now();
    for (
      let first = 0;
      first < most && (first < this.#least || this.#acting || this.#moments.length > 0);
      first += group
    ) {
      if (!this.#acting && this.#moments[0] !== undefined && first >= this.#moments[0].after)
        this.#begin(this.#moments[0]);
      const ahead = (first / this.#perSecond) * 1_000 - (performance.now() - started);
      if (ahead > 1) await sleep(ahead);
      yield Array.from({ length: group }, (_, i) => this.#recordOf(first + i));
    }
  }

  /** Resolves when all that was to happen has happened. @throws when something of it failed, or did not come. */
  async over(): Promise<void> {
    await this.#happening;
    if (this.#moments.length > 0) throw new Error(`${this.#moments.length} moments never came`);
  }

  #begin(moment: Moment): void {
    this.#moments.shift();
    this.#acting = true;
    this.#happening = this.#happening
      .then(() => moment.act())
      .finally(() => {
        this.#acting = false;
      });
    // Told by over().
    this.#happening.catch(() => {});
  }
}
