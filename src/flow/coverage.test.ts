import { expect, test } from 'vitest';
import { progressOf } from '../ledger/progress.js';
import { Coverage } from './coverage.js';

const span = (from: number, rows: number) => ({ split: 's', from, rows, next: { row: from + rows, token: null } });

test('all is well when every row read was settled once, in whatever order', () => {
  const coverage = new Coverage();
  coverage.read('s', 10);
  coverage.settle([span(5, 5)]);
  expect(coverage.faults).toEqual({ lost: 5, doubled: 0 });
  coverage.settle([span(0, 5)]);
  expect(coverage.faults).toEqual({ lost: 0, doubled: 0 });
});

test('a row settled twice is seen', () => {
  const coverage = new Coverage();
  coverage.read('s', 10);
  coverage.settle([span(0, 6), span(5, 5)]);
  expect(coverage.faults).toEqual({ lost: 0, doubled: 1 });
});

test('what was settled before and not come to this time neither hides nor feigns a loss', () => {
  const coverage = new Coverage(progressOf([span(100, 50)]));
  coverage.read('s', 10);
  expect(coverage.faults).toEqual({ lost: 10, doubled: 0 });
  coverage.settle([span(0, 10)]);
  expect(coverage.faults).toEqual({ lost: 0, doubled: 0 });
});
