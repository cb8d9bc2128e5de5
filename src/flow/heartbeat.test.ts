import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startHeart } from './heartbeat.js';

test('a heartbeat that is not answered is given up for the next', async () => {
  const signals: AbortSignal[] = [];
  const beat = (signal: AbortSignal) => {
    signals.push(signal);
    return new Promise<void>(() => {});
  };
  {
    using _heart = startHeart(beat, 10);
    await expect.poll(() => signals.length).toBeGreaterThan(2);
    expect(signals.slice(0, -1).every(({ aborted }) => aborted)).toBe(true);
    expect(signals.at(-1)?.aborted).toBe(false);
  }
  const { length } = signals;
  await sleep(50);
  expect(signals.length).toBe(length);
  expect(signals.at(-1)?.aborted).toBe(true);
});
