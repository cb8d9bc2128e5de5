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
  readonly #count: number;
  readonly #perSecond: number;
  readonly #recordOf: (id: number) => Row;
  readonly #moments: Moment[];
  readonly #acting: Promise<void>[] = [];

  constructor(count: number, perSecond: number, recordOf: (id: number) => Row, moments: readonly Moment[] = []) {
    this.#count = count;
    this.#perSecond = perSecond;
    this.#recordOf = recordOf;
    this.#moments = [...moments];
  }

  /** Records 0 to count - 1, in groups, no faster than was said. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Row[]> {
    const group = Math.max(1, Math.floor(this.#perSecond / 50));
    const started = performance.now();
    for (let first = 0; first < this.#count; first += group) {
      while (this.#moments[0] !== undefined && first >= this.#moments[0].after)
        this.#acting.push(this.#moments.shift()!.act());
      const ahead = (first / this.#perSecond) * 1_000 - (performance.now() - started);
      if (ahead > 1) await sleep(ahead);
      yield Array.from({ length: Math.min(group, this.#count - first) }, (_, i) => this.#recordOf(first + i));
    }
  }

  /** Resolves when all that was to happen has happened. @throws when something of it failed, or did not come. */
  async over(): Promise<void> {
    await Promise.all(this.#acting);
    if (this.#moments.length > 0) throw new Error(`${this.#moments.length} moments never came`);
  }
}
