import { describe, expect, test } from 'vitest';
import { gateOptions } from '../../src/flow/gate.js';
import { AdaptiveGate } from '../../src/gate/adaptive.js';
import { type Curve, curves } from './curves.js';
import { fixed } from './fixed.js';
import { simulate, type TestedLimit, type Trace } from './simulate.js';

const counts = [1, 2, 4, 8, 16, 32, 60];
/** Milliseconds from the start, and from a change, in which the gate is still looking. */
const climb = 4_000;
/** The default of a machine with two cores. */
const usualStart = 4;
/** The workers that a load was given before their number was found. */
const fixedDefault = 8;
const traits = {
  maxBatchBytes: 4 * 1024 * 1024,
  maxBatchRows: 50_000,
  guarantee: 'exactly once',
  rewrites: false,
} as const;

type MakeGate = (workers: number | undefined, start?: number) => TestedLimit;

/** The gate as a load has it: with `--workers N`, or without. */
const adaptingBatches: MakeGate = (workers, start = usualStart) => {
  const settings = { workers, batchRows: undefined, batchTime: 1_000 };
  return new AdaptiveGate(gateOptions(settings, { start: workers ?? start, most: workers ?? 60 }, traits, () => {}));
};

/** With `--batch-size`: only the number in flight is found. */
const fixedBatches: MakeGate = (workers, start = usualStart) => {
  if (workers !== undefined) return fixed(workers);
  const settings = { workers, batchRows: 2_500, batchTime: 1_000 };
  const gate = new AdaptiveGate(gateOptions(settings, { start, most: 60 }, traits, () => {}));
  return {
    get current() {
      return gate.current;
    },
    onSample: (sample) => gate.onSample(sample),
  };
};

/** Every fixed count; the best of a stretch is the least of those within a hundredth of the most rows. */
class Sweep {
  readonly #runs: readonly Trace[];
  constructor(curve: Curve, gate: MakeGate) {
    this.#runs = counts.map((count) => simulate(curve, () => gate(count)));
  }
  best(from: number, to: number): Trace {
    const most = Math.max(...this.#runs.map((run) => run.throughput(from, to)));
    return this.#runs.find((run) => run.throughput(from, to) >= 0.99 * most)!;
  }
  share(trace: Trace, from: number, to: number): number {
    return trace.throughput(from, to) / Math.max(...this.#runs.map((run) => run.throughput(from, to)));
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

/** Where batches adapt, or the target changes, a run is a throw of dice: what holds is the median of these. */
const several = [1, 2, 3];

const both = [
  ...curves.map((curve) => ({ ...curve, gate: adaptingBatches, seeds: several })),
  ...curves.map((curve) => ({
    ...curve,
    name: `${curve.name}, batches of 2,500 rows`,
    gate: fixedBatches,
    // Three of each would take minutes.
    seeds: curve.changesAt === undefined ? [1] : several,
    missed: undefined,
  })),
];

describe.each(both)('$name', ({ gate, seeds, missed, ...curve }) => {
  const { duration, changesAt } = curve;
  const sweep = new Sweep(curve, gate);
  const runs = (start?: number) => seeds.map((seed) => simulate(curve, () => gate(undefined, start), seed));
  const usual = runs();
  const share = (traces: readonly Trace[], from: number, to: number) =>
    median(traces.map((trace) => sweep.share(trace, from, to)));

  test('adaptive does nine tenths of the best fixed count, its climb included', () => {
    expect(share(usual, 0, duration)).toBeGreaterThanOrEqual(missed?.share ?? 0.9);
  });

  test('once it has climbed, a row takes at most twice as long as with the best fixed count, 99 of 100 times', () => {
    const stretches =
      changesAt === undefined
        ? [[0, duration]]
        : [
            [0, changesAt],
            [changesAt, duration],
          ];
    for (const [from = 0, to = 0] of stretches) {
      const most = missed?.p99 ?? 2;
      expect(median(usual.map((trace) => trace.p99(from + climb, to)))).toBeLessThanOrEqual(
        most * sweep.best(from, to).p99(from + climb, to),
      );
    }
  });

  if (changesAt !== undefined) {
    test('it does eight tenths in the ten seconds after the change', () => {
      expect(share(usual, changesAt, changesAt + 10_000)).toBeGreaterThanOrEqual(0.8);
    });
  }

  test.each([1, 60])('from a start at %i it does eight tenths of the best', (start) => {
    expect(share(runs(start), 0, duration)).toBeGreaterThanOrEqual((start === 1 ? missed?.fromOne : undefined) ?? 0.8);
  });

  test('10,000 rows take no longer than with the fixed default', () => {
    const short = { ...curve, rows: 10_000 };
    const { endedAt } = simulate(short, () => gate(fixedDefault));
    expect(endedAt / simulate(short, () => gate(undefined)).endedAt).toBeGreaterThanOrEqual(0.95);
  });
});
