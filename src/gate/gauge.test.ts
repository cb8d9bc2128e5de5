import { expect, test } from 'vitest';
import type { Sample } from '../contract/index.js';
import { Gauge, type WindowSize } from './gauge.js';

const size: WindowSize = { batches: 4, time: 100, sure: () => true, patience: Number.POSITIVE_INFINITY };

const sample = (startedAt: number, endedAt: number, inFlight = 2, rows = 100): Sample => ({
  startedAt,
  endedAt,
  oldestInFlight: endedAt,
  inFlight,
  meanInFlight: inFlight,
  rows,
  bytes: rows * 10,
  outcome: 'written',
  saturated: true,
  retried: false,
});

/** A gauge that has seen connections for two. */
function warm(): Gauge {
  const gauge = new Gauge();
  gauge.add(sample(-10, 0), size);
  gauge.restart(0, 0);
  return gauge;
}

test('two in flight that take 50 ms for 100 rows each do 4 rows a millisecond', () => {
  const gauge = warm();
  expect(gauge.add(sample(0, 50), size)).toBeUndefined();
  expect(gauge.add(sample(0, 50), size)).toBeUndefined();
  expect(gauge.add(sample(50, 100), size)).toBeUndefined();
  expect(gauge.add(sample(50, 100), size)).toEqual({ rate: 4, error: 0, median: 50, saturated: true });
});

test('what counts is how many were in flight while a batch was, not how many when it started', () => {
  const gauge = warm();
  const alone = (start: number, end: number) => gauge.add({ ...sample(start, end, 1), meanInFlight: 1.8 }, size);
  const readings = [alone(0, 50), alone(0, 50), alone(50, 100), alone(50, 100)];
  expect(readings.at(-1)).toMatchObject({ rate: expect.closeTo((1.8 * 100) / 50, 10) });
});

test('the rate is the same when all batches of a window end at its very end', () => {
  const gauge = warm();
  const ends = [0, 0, 0, 0].map(() => gauge.add(sample(0, 100), size));
  expect(ends.at(-1)).toMatchObject({ rate: 2 });
});

test('the error is the standard error of the mean time, as a share of it', () => {
  const gauge = warm();
  const readings = [30, 50, 50, 70].map((time) => gauge.add(sample(0, time), { ...size, time: 60 }));
  // The squares of the deviations are 400, 0, 0 and 400: their root over 4 times the mean of 50.
  expect(readings.at(-1)?.error).toBeCloseTo(Math.sqrt(800) / (4 * 50), 10);
});

test('what was started later than one that is still under way does not count yet', () => {
  const gauge = warm();
  for (const [start, end] of [
    [0, 10],
    [10, 40],
    [40, 90],
    [90, 110],
  ] as const) {
    expect(gauge.add({ ...sample(start, end), oldestInFlight: 5 }, size)).toBeUndefined();
  }
  // Of those started before 100 none is under way any more.
  const reading = gauge.add({ ...sample(5, 120), oldestInFlight: 100 }, size);
  expect(reading).toMatchObject({ rate: expect.closeTo((2 * 500) / 225, 10) });
});

test('the first batches do not count, in whatever order they end, for each of them made a connection', () => {
  const gauge = new Gauge();
  for (const inFlight of [4, 1, 3, 2]) gauge.add(sample(0, 20, inFlight), size);
  const readings = [0, 1, 2, 3].map(() => gauge.add(sample(20, 120, 4), size));
  expect(readings).toMatchObject([undefined, undefined, undefined, { median: 100 }]);
});

test('a batch that waited for its connection does not count', () => {
  const gauge = warm();
  gauge.add(sample(0, 90, 3), size);
  const readings = [0, 1, 2, 3].map(() => gauge.add(sample(80, 100), size));
  expect(readings.at(-1)).toMatchObject({ median: 20 });
});

test('neither do batches that were under way when the setting changed, nor the first ones after', () => {
  const gauge = warm();
  gauge.restart(1000, 2);
  gauge.add(sample(900, 1100), size);
  gauge.add(sample(900, 1200), size);
  expect(gauge.add(sample(1100, 5000), size)).toBeUndefined();
  const readings = [0, 1, 2, 3].map(() => gauge.add(sample(1200, 1250), size));
  expect(readings.at(-1)).toMatchObject({ median: 50 });
});

test('a window goes on while it is not sure, to four times its time', () => {
  const gauge = warm();
  const unsure = { ...size, sure: () => false };
  for (let time = 50; time < 400; time += 50) expect(gauge.add(sample(time - 50, time), unsure)).toBeUndefined();
  expect(gauge.add(sample(350, 400), unsure)).toBeDefined();
});

test('after four times its time, and three times that of a batch, half the batches will do', () => {
  const gauge = warm();
  const many = { ...size, batches: 6 };
  expect(gauge.add(sample(0, 200), many)).toBeUndefined();
  expect(gauge.add(sample(200, 400), many)).toBeUndefined();
  expect(gauge.add(sample(400, 600), many)).toBeDefined();
  const short = warm();
  expect(short.add(sample(0, 100), size)).toBeUndefined();
  expect(short.add(sample(300, 399), size)).toBeUndefined();
  expect(short.add(sample(300, 400), size)).toBeDefined();
});

test('a window ends with what there is when its patience is over', () => {
  const gauge = warm();
  const impatient = { ...size, batches: 100, patience: 120 };
  expect(gauge.add(sample(0, 60), impatient)).toBeUndefined();
  expect(gauge.add(sample(60, 120), impatient)).toMatchObject({ rate: (2 * 200) / 120 });
});

test('permits that lay idle for most of the batches tell of a slow source', () => {
  const gauge = warm();
  const readings = [0, 1, 2, 3].map((n) => gauge.add({ ...sample(0, 100), saturated: n === 0 }, size));
  expect(readings.at(-1)).toMatchObject({ saturated: false });
});
