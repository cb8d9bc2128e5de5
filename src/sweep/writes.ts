import type { Sink } from '../contract/index.js';

/** What was seen of the writing of one load. */
export class Writes {
  readonly #batches: { readonly rows: number; readonly ms: number }[] = [];
  #rows = 0;
  #first: number | undefined;
  #last = 0;

  /** The sink, watched. What it could do besides writing (its ledger, its counting) is left out. */
  watch(sink: Sink): Sink {
    return {
      name: sink.name,
      identity: sink.identity,
      traits: sink.traits,
      get key() {
        return sink.key;
      },
      plan: (intake, context) => sink.plan(intake, context),
      open: (context) => sink.open(context),
      write: async (batch, context) => {
        const start = performance.now();
        this.#first ??= start;
        const result = await sink.write(batch, context);
        this.#last = performance.now();
        this.#rows += batch.rows;
        this.#batches.push({ rows: batch.rows, ms: this.#last - start });
        return result;
      },
      classify: (error) => sink.classify(error),
      [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
    };
  }

  /** Rows of batches that were written. */
  get rows(): number {
    return this.#rows;
  }

  /** From the first batch handed over, connections still to be made, to the last one written. */
  get seconds(): number {
    return this.#first === undefined ? 0 : Math.max(0, this.#last - this.#first) / 1000;
  }

  /** Milliseconds a row that 99 of 100 rows did not exceed: their batch's time by its rows. */
  get p99(): number {
    const sorted = this.#batches.map(({ rows, ms }) => ({ rows, each: ms / rows })).sort((a, b) => a.each - b.each);
    let seen = 0;
    for (const { rows, each } of sorted) {
      seen += rows;
      if (seen >= this.#rows * 0.99) return each;
    }
    return 0;
  }
}
