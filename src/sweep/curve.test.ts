import { expect, test } from 'vitest';
import { curveOf } from './curve.js';
import type { Trial } from './trial.js';

const workers = { start: 8, end: 8, least: 8, most: 8 };
const gate = { workers, batchBytes: 1024, changes: [], leftOut: 0, trials: 0 };

function trial(count: number | undefined, rows: number, seconds: number, more: Partial<Trial> = {}): Trial {
  return { workers: count, rows, seconds, p99: 1, rejected: 0, overhead: 0, gate, cut: false, ...more };
}

test('the trials of a count are added up, and the worst p99 of them stands', () => {
  const { fixed } = curveOf([trial(2, 100, 1, { p99: 3 }), trial(1, 100, 2), trial(2, 300, 3, { cut: true })]);
  expect(fixed).toEqual([
    { workers: 1, trials: 1, rows: 100, seconds: 2, rate: 50, p99: 1, cut: false },
    { workers: 2, trials: 2, rows: 400, seconds: 4, rate: 100, p99: 3, cut: true },
  ]);
});

test('the knee is the least count within 5 % of the best', () => {
  const rates = [50, 94, 95, 100, 80];
  const curve = curveOf(rates.map((rate, i) => trial(2 ** i, rate, 1)));
  expect([curve.best.workers, curve.knee.workers]).toEqual([8, 4]);
});

test('the adaptive trials stand apart, be they better than each fixed count', () => {
  const curve = curveOf([trial(1, 10, 1), trial(undefined, 20, 1)]);
  expect([curve.best.workers, curve.knee.workers, curve.adaptive?.rate]).toEqual([1, 1, 20]);
});

test('there is no curve without a fixed count', () => {
  expect(() => curveOf([trial(undefined, 20, 1)])).toThrow(RangeError);
});
