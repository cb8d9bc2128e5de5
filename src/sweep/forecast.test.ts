import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forecast } from './forecast.js';

const measured = { rows: 1_000, reckoned: false, overhead: 0, rates: [100, 100, 100] };

describe('a forecast', () => {
  test('of equal rates has what can not be seen for its width', () => {
    const { seconds, least, most } = forecast(measured);
    expect(seconds).toBeCloseTo(10);
    expect(most / seconds).toBeCloseTo(Math.exp(0.15));
    expect(seconds / least).toBeCloseTo(Math.exp(0.15));
  });

  test('is wider the more the rates differ, and when rows are reckoned', () => {
    const width = (more: object) => {
      const { least, most } = forecast({ ...measured, ...more });
      return most / least;
    };
    expect(width({ rates: [90, 100, 110] })).toBeGreaterThan(width({}));
    expect(width({ rates: [50, 100, 150] })).toBeGreaterThan(width({ rates: [90, 100, 110] }));
    expect(width({ reckoned: true })).toBeGreaterThan(width({}));
  });

  test('of two rates has the interval of the tables: t = 6.314 with one degree of freedom', () => {
    const { seconds, most } = forecast({ ...measured, rates: [80, 125] });
    const spread = 6.314 * (Math.log(125 / 80) / Math.SQRT2) * Math.sqrt(1.5);
    expect(seconds).toBeCloseTo(10);
    expect(Math.log(most / seconds)).toBeCloseTo(Math.hypot(spread, 0.15));
  });

  test('adds what it takes around the writing, and holds its own expectation', () => {
    const rates = fc.array(fc.double({ min: 1, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 9 });
    fc.assert(
      fc.property(rates, fc.nat(1e9), fc.double({ min: 0, max: 60, noNaN: true }), (given, rows, overhead) => {
        const { least, seconds, most } = forecast({ rows, reckoned: false, overhead, rates: given });
        expect(overhead).toBeLessThanOrEqual(least);
        expect(least).toBeLessThanOrEqual(seconds);
        expect(seconds).toBeLessThanOrEqual(most);
      }),
    );
  });
});
