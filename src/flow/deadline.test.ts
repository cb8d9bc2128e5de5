import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Deadline } from './deadline.js';
import { Stop } from './stop.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A run of so many milliseconds; tells when each step was taken, by what was left then. */
function watched(whole: number) {
  const end = performance.now() + whole;
  const left = () => end - performance.now();
  const stop = new Stop(undefined, undefined);
  const at: Record<string, number> = {};
  for (const step of ['reading', 'dispatching', 'writing'] as const) {
    stop[step].addEventListener('abort', () => {
      at[step] = left();
    });
  }
  return { at, stop, deadline: new Deadline(left, stop) };
}

function batchOf(deadline: Deadline, milliseconds: number): void {
  using _batch = deadline.batch();
  vi.advanceTimersByTime(milliseconds);
}

describe('a deadline', () => {
  test('ends reading, then sending, then writing, by the longest of the latest batches', () => {
    const { at, deadline } = watched(60_000);
    for (const time of [100, 400, 200]) batchOf(deadline, time);
    vi.advanceTimersByTime(60_000);
    // Looked at every 25 ms: as late as that.
    expect(at.reading).toBeGreaterThan(250 + 3 * 400 - 26);
    expect(at.reading).toBeLessThanOrEqual(250 + 3 * 400);
    expect(at.dispatching).toBeGreaterThan(250 + 1.5 * 400 - 26);
    expect(at.dispatching).toBeLessThanOrEqual(250 + 1.5 * 400);
    expect(at.writing).toBeGreaterThan(250 - 26);
    expect(at.writing).toBeLessThanOrEqual(250);
  });

  test('leaves more time to close where transactions are slow', () => {
    const { at, deadline } = watched(60_000);
    deadline.took(500);
    vi.advanceTimersByTime(60_000);
    expect(at.writing).toBeGreaterThan(1_750 - 26);
    expect(at.writing).toBeLessThanOrEqual(1_750);
  });

  test('a batch that does not end counts as long as it has lasted', () => {
    const { at, deadline } = watched(10_000);
    using _batch = deadline.batch();
    vi.advanceTimersByTime(10_000);
    expect(at.reading).toBeCloseTo(5_000, -2);
    expect(at.dispatching).toBeCloseTo(3_333, -2);
    expect(at.writing).toBeCloseTo(250, -2);
  });

  test('forgets what was slow long ago', () => {
    const { at, deadline } = watched(100_000);
    batchOf(deadline, 5_000);
    for (let i = 0; i < 64; i++) batchOf(deadline, 10);
    vi.advanceTimersByTime(100_000);
    expect(at.reading).toBeLessThan(300);
  });

  test('lets at least half of the time be worked, however slow the batches', () => {
    const { at, deadline } = watched(4_000);
    deadline.took(3_000);
    vi.advanceTimersByTime(1_500);
    expect(at).toEqual({});
    vi.advanceTimersByTime(2_000);
    expect(at.reading).toBeCloseTo(1_750, -2);
    expect(at.writing).toBeCloseTo(1_000, -2);
  });

  test('takes no step once it is disposed', () => {
    const { at, deadline } = watched(1_000);
    deadline[Symbol.dispose]();
    vi.advanceTimersByTime(2_000);
    expect(at).toEqual({});
  });

  test('what fails because everything was given up is no failure of the run', () => {
    const { stop } = watched(1_000);
    vi.advanceTimersByTime(1_000);
    expect(stop.gaveUp).toBe(true);
    stop.halt(new Error('the connection was hung up'), 0);
    expect(stop.cause).toBeUndefined();
    expect(stop.cutOff).toBe(true);
  });
});
