import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { fixed } from '../../test/gate/fixed.js';
import type { Limit, Sample } from '../contract/index.js';
import { Limiter, type Permit } from './limiter.js';

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

  test('tells the limit what was seen, and whether others were waiting for most of the time', async () => {
    const { samples, limiter, clock } = observed(1);
    const first = await limiter.acquire(never);
    clock.now = 120;
    const second = limiter.acquire(never);
    clock.now = 150;
    first.release({ rows: 10, bytes: 800, outcome: 'written' });
    clock.now = 170;
    (await second).release({ rows: 5, bytes: 400, outcome: 'failed' });
    const common = { inFlight: 1, meanInFlight: 1, retried: false };
    expect(samples).toEqual([
      {
        ...common,
        startedAt: 100,
        endedAt: 150,
        oldestInFlight: 150,
        rows: 10,
        bytes: 800,
        outcome: 'written',
        saturated: true,
      },
      {
        ...common,
        startedAt: 150,
        endedAt: 170,
        oldestInFlight: 170,
        rows: 5,
        bytes: 400,
        outcome: 'failed',
        saturated: false,
      },
    ]);
  });

  test('tells the limit when the oldest still in flight was started, of those that were not set back', async () => {
    const { samples, limiter, clock } = observed(4);
    const permits: Permit[] = [];
    for (const now of [100, 110, 120, 130]) {
      clock.now = now;
      permits.push(await limiter.acquire(never));
    }
    const [first, second, third, fourth] = permits;
    clock.now = 140;
    third?.release(seen);
    first?.setBack();
    fourth?.release(seen);
    second?.release(seen);
    first?.release(seen);
    expect(samples).toMatchObject([
      { startedAt: 120, oldestInFlight: 100 },
      { startedAt: 130, oldestInFlight: 110 },
      { startedAt: 110, oldestInFlight: 140 },
      { startedAt: 100, oldestInFlight: 140, retried: true },
    ]);
  });

  test('tells the limit how many were in flight while a batch was, on average over time', async () => {
    const { samples, limiter, clock } = observed(3);
    const first = await limiter.acquire(never);
    clock.now = 110;
    const second = await limiter.acquire(never);
    const third = await limiter.acquire(never);
    clock.now = 130;
    second.release(seen);
    clock.now = 140;
    third.release(seen);
    first.release(seen);
    expect(samples).toMatchObject([
      { inFlight: 2, meanInFlight: 3 },
      { inFlight: 3, meanInFlight: (3 * 20 + 2 * 10) / 30 },
      { inFlight: 1, meanInFlight: (10 + 3 * 20 + 2 * 10) / 40 },
    ]);
  });

  test('a wait that was short, or withdrawn, does not make the target the slow part', async () => {
    const { samples, limiter, clock } = observed(1);
    const first = await limiter.acquire(never);
    const stop = new AbortController();
    const waiting = limiter.acquire(stop.signal);
    clock.now = 110;
    stop.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
    clock.now = 200;
    first.release(seen);
    expect(samples).toMatchObject([{ saturated: false }]);
  });

  test('tells the limit at once when a try was turned away, and that the batch was tried more than once', async () => {
    const { samples, limiter, clock } = observed(2);
    const permit = await limiter.acquire(never);
    clock.now = 110;
    permit.setBack('53300 too_many_connections');
    clock.now = 120;
    permit.setBack();
    clock.now = 130;
    permit.release({ rows: 10, bytes: 800, outcome: 'written' });
    const common = { startedAt: 100, inFlight: 1, meanInFlight: 1, saturated: false };
    expect(samples).toEqual([
      {
        ...common,
        endedAt: 110,
        oldestInFlight: 110,
        rows: 0,
        bytes: 0,
        outcome: 'throttled',
        reason: '53300 too_many_connections',
        retried: false,
      },
      {
        ...common,
        endedAt: 130,
        oldestInFlight: 130,
        rows: 10,
        bytes: 800,
        outcome: 'written',
        retried: true,
      },
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

/** A limiter whose limit notes what it is told, at a time that is set by hand and begins at 100. */
function observed(current: number) {
  const samples: Sample[] = [];
  const clock = { now: 100 };
  const limit: Limit = { current, onSample: (sample) => samples.push(sample) };
  return { samples, clock, limiter: new Limiter(limit, () => clock.now) };
}
