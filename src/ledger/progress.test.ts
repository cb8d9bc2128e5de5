import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Span } from '../contract/index.js';
import { progressOf } from './progress.js';

/** Spans of a split of `rows` rows whose pages (of `page` rows) are the only points reading can start from. */
function spans(cuts: readonly number[], page: number): Span[] {
  const edges = [...new Set(cuts)].sort((a, b) => a - b);
  return edges.slice(1).map((to, i) => {
    const row = Math.floor(to / page) * page;
    return { split: 's', from: edges[i]!, rows: to - edges[i]!, next: { row, token: row } };
  });
}

test('reading goes on behind what is settled without a hole', () => {
  const all = spans([0, 100, 250, 300, 400], 100);
  const without = all.filter((span) => span.from !== 250);
  const progress = progressOf(without).get('s')!;
  expect(progress.point).toEqual({ row: 200, token: 200 });
  expect([...progress.settled]).toEqual([
    { from: 0, to: 250 },
    { from: 300, to: 400 },
  ]);
});

test('nothing settled at the start means reading from the start', () => {
  const progress = progressOf(spans([100, 200, 300], 100)).get('s')!;
  expect(progress.point).toBeUndefined();
});

test('with a hole in front of all that is settled, what the source said of its first row is still known', () => {
  const next = { row: 0, token: { page: 1, total: 3_000 } };
  expect(progressOf([{ split: 's', from: 100, rows: 100, next }]).get('s')!.point).toEqual(next);
});

test('a start without a token is none to go on from', () => {
  const next = { row: 0, token: null };
  expect(progressOf([{ split: 's', from: 0, rows: 100, next }]).get('s')!.point).toBeUndefined();
});

test('splits are apart', () => {
  const [a, b] = spans([0, 10, 20], 5);
  const progress = progressOf([a!, { ...b!, split: 't' }]);
  expect(progress.get('s')!.point).toEqual({ row: 10, token: 10 });
  expect(progress.get('t')!.point).toBeUndefined();
});

test('whatever was settled in whatever order, no row that is not settled lies before the point', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(200), { minLength: 2 }),
      fc.integer({ min: 1, max: 40 }),
      fc.infiniteStream(fc.boolean()),
      (cuts, page, kept) => {
        const settled = spans([0, ...cuts], page).filter(() => kept.next().value);
        const progress = progressOf(settled).get('s');
        if (!progress) return;
        const from = progress.point?.row ?? 0;
        expect([...progress.settled.missing(0, from)]).toEqual([]);
      },
    ),
  );
});
