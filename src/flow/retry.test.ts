import { expect, test } from 'vitest';
import { pauseBefore } from './retry.js';

const backoff = { first: 100, longest: 2_000, total: 60_000 };

test('pauses double up to the longest, with half of each drawn at random', () => {
  const shortest = [1, 2, 3, 4, 5, 6, 7].map((attempt) => pauseBefore(attempt, backoff, () => 0));
  expect(shortest).toEqual([50, 100, 200, 400, 800, 1000, 1000]);
  expect(pauseBefore(1, backoff, () => 0.999)).toBeCloseTo(100, 0);
});
