import { expect, test } from 'vitest';
import { coarse, count, counted, duration, size } from './words.js';

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [1234567.6, '1,234,568'],
])('%d is counted %s', (number, text) => {
  expect(count(number)).toBe(text);
});

test('a noun follows its number', () => {
  expect([0, 1, 2].map((number) => counted(number, 'row'))).toEqual(['0 rows', '1 row', '2 rows']);
  expect(counted(2, 'retry', 'retries')).toBe('2 retries');
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [4_123_000, '4.12 MB'],
  [41_230_000, '41.2 MB'],
  [999_499, '999 kB'],
  [999_500, '1.00 MB'],
  [5e17, '500 PB'],
])('%d bytes are %s', (bytes, text) => {
  expect(size(bytes)).toBe(text);
});

test.each([
  [0.004, '0.00 s'],
  [0.84, '0.84 s'],
  [12.34, '12.3 s'],
  [59.97, '1 min 00 s'],
  [125, '2 min 05 s'],
  [3599.7, '1 h 00 min'],
  [3725, '1 h 02 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test('a guess has no fractions', () => {
  expect([0.2, 5.4, 65, 7260].map(coarse)).toEqual(['0 s', '5 s', '1 min 05 s', '2 h 01 min']);
});
