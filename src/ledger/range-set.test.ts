import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RangeSet } from './range-set.js';

describe('RangeSet', () => {
  test('joins ranges that touch or overlap, and keeps the others apart', () => {
    const set = new RangeSet();
    set.add(10, 20);
    set.add(30, 40);
    set.add(20, 25);
    expect([...set]).toEqual([
      { from: 10, to: 25 },
      { from: 30, to: 40 },
    ]);
    set.add(0, 50);
    expect([...set]).toEqual([{ from: 0, to: 50 }]);
  });

  test('its low-water mark is the end of what is settled without a hole', () => {
    const set = new RangeSet();
    set.add(1000, 2000);
    expect(set.lowWater).toBe(0);
    set.add(0, 1000);
    expect(set.lowWater).toBe(2000);
  });

  test('an empty range changes nothing', () => {
    const set = new RangeSet();
    expect(set.add(5, 5)).toBe(0);
    expect([...set]).toEqual([]);
  });

  const ranges = fc.array(
    fc.tuple(fc.nat(60), fc.nat(12)).map(([from, rows]) => ({ from, to: from + rows })),
    { maxLength: 30 },
  );

  test('holds the same rows as a plain set, whatever was added in whatever order', () => {
    fc.assert(
      fc.property(ranges, (added) => {
        const set = new RangeSet();
        const plain = new Set<number>();
        for (const { from, to } of added) {
          const before = plain.size;
          for (let row = from; row < to; row++) plain.add(row);
          expect(set.add(from, to)).toBe(plain.size - before);
        }
        for (let row = 0; row <= 75; row++) expect(set.has(row)).toBe(plain.has(row));
        expect(set.size).toBe(plain.size);
        const kept = [...set];
        for (const [i, range] of kept.entries()) {
          expect(range.from).toBeLessThan(range.to);
          if (i > 0) expect(range.from).toBeGreaterThan(kept[i - 1]!.to);
        }
        for (const from of [0, 7, 30]) {
          const gaps: number[] = [];
          for (const gap of set.missing(from, 70)) for (let row = gap.from; row < gap.to; row++) gaps.push(row);
          expect(gaps).toEqual(Array.from({ length: 70 - from }, (_, i) => from + i).filter((row) => !plain.has(row)));
        }
        let low = 0;
        while (plain.has(low)) low++;
        expect(set.lowWater).toBe(low);
      }),
    );
  });
});
