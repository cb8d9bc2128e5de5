import { expect, test } from 'vitest';
import { nearest } from './nearest.js';

const known = ['url', 'items', 'pagination', 'parallel', 'batchSize', 'ignoreExtra', 'key'];

test.each([
  ['pagnation', 'pagination'],
  ['item', 'items'],
  ['batch-size', 'batchSize'],
  ['batchsize', 'batchSize'],
  ['prallel', 'parallel'],
  ['apgination', 'pagination'],
  ['ulr', 'url'],
])('%s was meant to be %s', (word, expected) => {
  expect(nearest(word, known)).toBe(expected);
});

test('nothing is suggested for a word that is far from all', () => {
  expect(nearest('timeout', known)).toBeUndefined();
  expect(nearest('x', [])).toBeUndefined();
});
