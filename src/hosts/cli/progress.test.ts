import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../../contract/index.js';
import { advance, outlook, type Pace, renderProgress } from './progress.js';

function snapshot(given: Partial<Snapshot>): Snapshot {
  return {
    read: given.settled ?? 0,
    written: given.settled ?? 0,
    unchanged: 0,
    duplicate: 0,
    rejected: 0,
    skipped: 0,
    settled: 0,
    bytes: 0,
    seconds: 1,
    inFlight: 3,
    workers: 8,
    gateChange: undefined,
    retries: 0,
    totalRows: undefined,
    shareRead: undefined,
    ...given,
  };
}

const pace: Pace = { seconds: 1, settled: 0, bytes: 0, rowsPerSecond: 1000, bytesPerSecond: 50_000 };

describe('advance', () => {
  test('starts with the average so far', () => {
    expect(advance(undefined, snapshot({ settled: 500, bytes: 2000, seconds: 0.5 }))).toMatchObject({
      rowsPerSecond: 1000,
      bytesPerSecond: 4000,
    });
  });

  test('comes near a new rate within some seconds', () => {
    let current = pace;
    for (let tick = 1; tick <= 60; tick++) {
      current = advance(current, snapshot({ seconds: 1 + tick / 10, settled: tick * 500, bytes: 0 }));
    }
    expect(current.rowsPerSecond).toBeGreaterThan(4700);
    expect(current.rowsPerSecond).toBeLessThan(5000);
    expect(current.bytesPerSecond).toBeLessThan(3000);
  });

  test('does not depend on how often it is asked', () => {
    const later = { ...pace, seconds: 10 };
    const once = advance(later, snapshot({ seconds: 12, settled: 4000 }));
    const halfway = advance(later, snapshot({ seconds: 11, settled: 2000 }));
    expect(advance(halfway, snapshot({ seconds: 12, settled: 4000 })).rowsPerSecond).toBeCloseTo(once.rowsPerSecond);
  });

  test('is the average since the start while there is little to go by', () => {
    const first = advance(undefined, snapshot({ seconds: 0.1, settled: 0 }));
    expect(advance(first, snapshot({ seconds: 0.5, settled: 5000 })).rowsPerSecond).toBeCloseTo(10_000);
  });

  test('the same moment twice changes nothing', () => {
    expect(advance(pace, snapshot({ seconds: 1, settled: 99 }))).toBe(pace);
  });
});

describe('outlook', () => {
  test('is unknown where the source knows neither rows nor share', () => {
    expect(outlook(snapshot({ settled: 10 }), pace)).toBeUndefined();
    expect(outlook(snapshot({ settled: 0, shareRead: 0 }), pace)).toBeUndefined();
    expect(outlook(snapshot({ settled: 0, read: 0, shareRead: 0.5 }), pace)).toBeUndefined();
  });

  test('follows from the rows there will be', () => {
    expect(outlook(snapshot({ settled: 2500, totalRows: 10_000 }), pace)).toEqual({
      rows: 10_000,
      exact: true,
      share: 0.25,
      secondsLeft: 7.5,
    });
  });

  test('follows from the share that was read', () => {
    expect(outlook(snapshot({ settled: 2000, read: 2500, shareRead: 0.5 }), pace)).toMatchObject({
      rows: 5000,
      exact: false,
      share: 0.4,
      secondsLeft: 3,
    });
  });

  test('is bounded by what the job wants', () => {
    expect(outlook(snapshot({ settled: 50, totalRows: 10_000 }), pace, 100)).toMatchObject({ rows: 100, share: 0.5 });
  });

  test('never passes the whole, whatever the source promised', () => {
    expect(outlook(snapshot({ settled: 120, totalRows: 100 }), pace)).toMatchObject({ share: 1, secondsLeft: 0 });
    expect(outlook(snapshot({ settled: 0, totalRows: 0 }), pace)).toMatchObject({ share: 1, secondsLeft: 0 });
  });

  test('promises no end while nothing moves', () => {
    const still = { ...pace, rowsPerSecond: 0 };
    expect(outlook(snapshot({ settled: 5, totalRows: 10 }), still)?.secondsLeft).toBeUndefined();
  });
});

describe('renderProgress', () => {
  const midway = snapshot({ settled: 6200, totalRows: 10_000, rejected: 3, retries: 1 });

  test('says everything where there is room', () => {
    expect(renderProgress(midway, pace, {})).toBe(
      '████████████░░░░░░░░  62%  6,200 of 10,000 rows  1,000 rows/s  50.0 kB/s  3/8 in flight  1 retry  3 rejected  ETA 4 s',
    );
  });

  test('says no share and no end where none is known', () => {
    expect(renderProgress(snapshot({ settled: 1 }), pace, {})).toBe(
      '1 row  1,000 rows/s  50.0 kB/s  3/8 in flight  0 retries  0 rejected',
    );
  });

  test('drops what matters least in a narrow terminal', () => {
    expect(renderProgress(midway, pace, { width: 80 })).toBe(
      '62%  6,200 of 10,000 rows  1,000 rows/s  50.0 kB/s  1 retry  3 rejected  ETA 4 s',
    );
    expect(renderProgress(midway, pace, { width: 30 })).toBe('62%  6,200 of 10,000 rows');
  });

  test('is never wider than asked, nor more than a line', () => {
    const any = fc.record({
      settled: fc.nat(1e9),
      totalRows: fc.option(fc.nat(1e9), { nil: undefined }),
      shareRead: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
      rejected: fc.nat(1e6),
      retries: fc.nat(1e6),
    });
    fc.assert(
      fc.property(any, fc.integer({ min: 1, max: 200 }), (given, width) => {
        const line = renderProgress(snapshot(given), pace, { width });
        expect(line.length).toBeLessThanOrEqual(width);
        expect(line).not.toMatch(/NaN|Infinity|undefined|\n/);
      }),
    );
  });
});
