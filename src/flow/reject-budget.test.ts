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

test.each([-1, 1.5, Number.NaN, 'x', '101%', '-1%', '1'])('%s is no budget', (value) => {
  expect(() => new RejectBudget(value)).toThrow(/100.*1%/);
});
