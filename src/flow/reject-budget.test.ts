import { expect, test } from 'vitest';
import { RejectBudget } from './reject-budget.js';

test('a count allows just so many', () => {
  const budget = new RejectBudget(2);
  expect(budget.exceeded(2, 2)).toBe(false);
  expect(budget.exceeded(3, 1_000_000)).toBe(true);
  expect(new RejectBudget(0).exceeded(1, 10)).toBe(true);
});

test('a share is of the rows read so far, judged after 1,000', () => {
  const budget = new RejectBudget('1%');
  expect(budget.exceeded(999, 999)).toBe(false);
  expect(budget.exceeded(10, 1_000)).toBe(false);
  expect(budget.exceeded(11, 1_000)).toBe(true);
  expect(new RejectBudget('0.5%').exceeded(6, 1_000)).toBe(true);
});

test('of a load too small to be judged by a share is told what would be too many', () => {
  const budget = new RejectBudget('1%');
  expect(budget.unjudged(200, 500)).toContain('200 of 500 records were rejected, more than the 1% allowed');
  expect(budget.unjudged(5, 500)).toBeUndefined();
  expect(budget.unjudged(200, 1_000)).toBeUndefined();
  expect(new RejectBudget(500).unjudged(200, 500)).toBeUndefined();
});

test.each([-1, 1.5, Number.NaN, 'x', '101%', '-1%', '1'])('%s is no budget', (value) => {
  expect(() => new RejectBudget(value)).toThrow(/100.*1%/);
});
