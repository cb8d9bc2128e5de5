import { describe, expect, test } from 'vitest';
import { Agenda } from './agenda.js';
import { curves } from './curves.js';
import { fixed } from './fixed.js';
import type { Behaviour } from './server.js';
import { simulate } from './simulate.js';

const plain: Behaviour = { roundTrip: 0, workPerBatch: 0, workPerRow: 0.01, capacity: (active) => Math.min(active, 4) };
const run = (workers: number, behaviour: Partial<Behaviour> = {}, bytesPerRow = 256) =>
  simulate({ behaviour: () => ({ ...plain, ...behaviour }), duration: 10_000, bytesPerRow }, () => fixed(workers));

describe('the agenda', () => {
  test('lets things happen in the order of time, those of one moment in the order they were put in', () => {
    const agenda = new Agenda();
    const happened: string[] = [];
    for (const [time, name] of [
      [3, 'd'],
      [1, 'a'],
      [2, 'b'],
      [2, 'c'],
      [9, 'never'],
    ] as const) {
      agenda.at(time, () => happened.push(`${name}@${agenda.now}`));
    }
    agenda.runTo(5);
    expect(happened).toEqual(['a@1', 'b@2', 'c@2', 'd@3']);
    expect(agenda.now).toBe(5);
  });
});

describe('the simulated server', () => {
  // A batch is 1,024 rows of 256 bytes, and so 10.24 ms of work.
  test.each([
    [1, 100],
    [2, 200],
    [4, 400],
    [16, 400],
  ])('%i in flight on four cores do %i thousand rows a second', (workers, thousands) => {
    expect(run(workers).throughput(1_000, 10_000) / 1_000).toBeCloseTo(thousands, -1);
  });

  test('makes every batch wait for the round trips', () => {
    // Two of about 30 ms, which tend to be a twentieth longer, and the work.
    const trace = run(1, { roundTrip: 30 });
    expect(trace.landed[5]?.milliseconds).toBeGreaterThan(2 * 30 * 0.95 + 10.2);
    expect(trace.landed[5]?.milliseconds).toBeLessThan(2 * 30 * 1.15 + 10.3);
  });

  test('shares the line among all', () => {
    const bandwidth = 10_000;
    const rate = run(8, { bandwidth }).throughput(1_000, 10_000);
    expect((rate * 256) / 1_000 / bandwidth).toBeCloseTo(1, 1);
  });

  test('commits together those who wait for the same flush', () => {
    const capacity = (active: number) => active;
    const one = run(1, { flush: 50, capacity }).throughput(1_000, 10_000);
    const ten = run(10, { flush: 50, capacity }).throughput(1_000, 10_000);
    expect(ten / one).toBeGreaterThan(5);
  });

  test('turns away those beyond its limit, and they come again', () => {
    const trace = run(6, { refuse: (admitted) => (admitted >= 4 ? '53300' : undefined) });
    expect(trace.throttles).toBeGreaterThan(0);
    expect(trace.throughput(1_000, 10_000) / 1_000).toBeCloseTo(400, -1);
  });

  test('gives only what the source has', () => {
    const trace = simulate({ behaviour: () => plain, duration: 10_000, sourceRate: 50 }, () => fixed(8));
    expect(trace.throughput(1_000, 10_000) / 1_000).toBeCloseTo(50, 0);
  });

  test('ends with the last row', () => {
    const trace = simulate({ behaviour: () => plain, duration: 10_000, rows: 10_000 }, () => fixed(8));
    expect(trace.landed.reduce((sum, { rows }) => sum + rows, 0)).toBe(10_000);
    expect(trace.endedAt).toBeLessThan(200);
  });

  test('does the same again with the same seed', () => {
    const curve = curves.find(({ name }) => name === 'uneven batches')!;
    const once = () => simulate({ ...curve, duration: 1_000 }, () => fixed(5), 3).landed;
    expect(once()).toEqual(once());
  });
});
