import { expect, test } from 'vitest';
import { BufferPool } from './buffer-pool.js';

test('a buffer that came back is lent again, and no other is', () => {
  const pool = new BufferPool(8);
  const first = pool.take();
  const second = pool.take();
  expect(second.buffer).not.toBe(first.buffer);
  pool.giveBack(first.subarray(2, 4));
  expect(pool.take().buffer).toBe(first.buffer);
  expect(pool.take().buffer).not.toBe(second.buffer);
});

test('a buffer given back twice is lent once', () => {
  const pool = new BufferPool(8);
  const buffer = pool.take();
  pool.giveBack(buffer);
  pool.giveBack(buffer);
  expect(pool.lent(buffer)).toBe(false);
  expect(pool.take().buffer).not.toBe(pool.take().buffer);
});

test('memory that is not of the pool is left alone', () => {
  const pool = new BufferPool(8);
  const foreign = Buffer.alloc(8);
  expect(pool.lent(foreign)).toBe(false);
  pool.giveBack(foreign);
  expect(pool.take().buffer).not.toBe(foreign.buffer);
});
