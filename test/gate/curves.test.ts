import { describe, expect, test } from 'vitest';
import { AdaptiveGate, type AdaptiveOptions } from '../../src/gate/adaptive.js';
import { type Curve, curves } from './curves.js';
import { fixed } from './fixed.js';
import { simulate, type Trace } from './simulate.js';

const counts = [1, 2, 4, 6, 8, 11, 16, 24, 32, 60];
/** Milliseconds. */
const climb = 2_000;
/** The default of a machine with two cores. */
const usualStart = 8;
const bytes = 256 * 1024;
const sameSize = { start: bytes, least: bytes, most: bytes, inFlight: 60 * bytes };
const anySize = { start: bytes, least: bytes / 4, most: 16 * bytes, inFlight: 64 * bytes };

function adaptive(curve: Curve, start: number, rest: Partial<AdaptiveOptions> = {}, seed = 1): Trace {
  const workers = { start, most: 60 };
  const make = () => new AdaptiveGate({ workers, knobs: ['workers'], batch: sameSize, batchTime: 1_000, ...rest });
  return simulate(curve, make, seed);
}

/** Every fixed count; the best of a stretch is the least of those within a hundredth of the most rows. */
class Sweep {
  readonly #runs: readonly Trace[];
  constructor(curve: Curve) {
    this.#runs = counts.map((count) => simulate(curve, () => fixed(count)));
  }
  best(from: number, to: number): Trace {
    const most = Math.max(...this.#runs.map((run) => run.throughput(from, to)));
    return this.#runs.find((run) => run.throughput(from, to) >= 0.99 * most)!;
  }
  share(trace: Trace, from: number, to: number): number {
    return trace.throughput(from, to) / Math.max(...this.#runs.map((run) => run.throughput(from, to)));
  }
}

describe.each(curves)('$name', (curve) => {
  const { duration, changesAt } = curve;
  const sweep = new Sweep(curve);
  const trace = adaptive(curve, usualStart);

  test('adaptive does nine tenths of the best fixed count, its climb included', () => {
    expect(sweep.share(trace, 0, duration)).toBeGreaterThanOrEqual(0.9);
  });

  test('and so it does when batches adapt as well', () => {
    const both = adaptive(curve, usualStart, { knobs: ['workers', 'batch'], batch: anySize });
    expect(sweep.share(both, 0, duration)).toBeGreaterThanOrEqual(0.9);
  });

  test('once it has climbed, a row takes at most twice as long as with the best fixed count, 99 of 100 times', () => {
    expect(trace.p99(climb, duration)).toBeLessThanOrEqual(2 * sweep.best(0, duration).p99(climb, duration));
  });

  test.runIf(changesAt !== undefined)('it does eight tenths in the ten seconds after the change', () => {
    const at = changesAt ?? 0;
    expect(sweep.share(trace, at, at + 10_000)).toBeGreaterThanOrEqual(0.8);
  });

  test.each([1, 60])('from a start at %i it does eight tenths of the best', (start) => {
    expect(sweep.share(adaptive(curve, start), 0, duration)).toBeGreaterThanOrEqual(0.8);
  });

  test('10,000 rows take no longer than with the fixed default', () => {
    const short = { ...curve, rows: 10_000 };
    const { endedAt } = simulate(short, () => fixed(usualStart));
    expect(endedAt / adaptive(short, usualStart).endedAt).toBeGreaterThanOrEqual(0.95);
  });
});
