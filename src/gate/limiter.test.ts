import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Limit, Sample } from '../contract/index.js';
import { fixed } from './fixed.js';
import { Limiter } from './limiter.js';

const never = new AbortController().signal;
const seen = { rows: 1, bytes: 1, outcome: 'written' } as const;

describe('Limiter', () => {
  test('gives as many permits as the limit allows, and the next when one comes back', async () => {
    const limiter = new Limiter(fixed(2));
    const first = await limiter.acquire(never);
    await limiter.acquire(never);
    let third = false;
    const waiting = limiter.acquire(never).then(() => {
      third = true;
    });
    await sleep(5);
    expect(third).toBe(false);
    first.release(seen);
    await waiting;
    expect(limiter.inFlight).toBe(2);
  });

  test('serves those who wait in the order of asking', async () => {
    const limiter = new Limiter(fixed(1));
    const held = await limiter.acquire(never);
    const order: number[] = [];
    const all = [1, 2, 3].map(async (n) => {
      const permit = await limiter.acquire(never);
      order.push(n);
      permit.release(seen);
    });
    held.release(seen);
    await Promise.all(all);
    expect(order).toEqual([1, 2, 3]);
  });

  test('a permit given back twice counts once', async () => {
    const limiter = new Limiter(fixed(1));
    const permit = await limiter.acquire(never);
    permit.release(seen);
    permit.release(seen);
    expect(limiter.inFlight).toBe(0);
  });

  test('whoever stops waiting takes no permit', async () => {
    const limiter = new Limiter(fixed(1));
    const held = await limiter.acquire(never);
    const stop = new AbortController();
    const waiting = limiter.acquire(stop.signal);
    stop.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
    held.release(seen);
    expect(limiter.inFlight).toBe(0);
    await limiter.acquire(never);
  });

  test('tells the limit what was seen, and whether the permits had run out', async () => {
    const samples: Sample[] = [];
    let now = 100;
    const limit: Limit = { current: 1, onSample: (sample) => samples.push(sample) };
    const limiter = new Limiter(limit, () => now);
    const first = await limiter.acquire(never);
    const second = limiter.acquire(never);
    now = 150;
    first.release({ rows: 10, bytes: 800, outcome: 'written' });
    now = 170;
    (await second).release({ rows: 5, bytes: 400, outcome: 'throttled' });
    expect(samples).toEqual([
      { startedAt: 100, endedAt: 150, inFlight: 1, rows: 10, bytes: 800, outcome: 'written', saturated: false },
      { startedAt: 150, endedAt: 170, inFlight: 1, rows: 5, bytes: 400, outcome: 'throttled', saturated: true },
    ]);
  });

  test('lets several in at once when the limit has risen', async () => {
    const limit = { current: 1, onSample() {} };
    const limiter = new Limiter(limit);
    const first = await limiter.acquire(never);
    const waiting = [limiter.acquire(never), limiter.acquire(never)];
    limit.current = 2;
    first.release(seen);
    await Promise.all(waiting);
    expect(limiter.inFlight).toBe(2);
  });
});
