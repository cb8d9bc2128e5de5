import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GateEvent, Sample } from '../contract/index.js';
import { AdaptiveGate, type AdaptiveOptions } from './adaptive.js';

const kibibyte = 1024;
const batch = { start: 256 * kibibyte, least: 64 * kibibyte, most: 4096 * kibibyte, inFlight: 16_384 * kibibyte };
const options = { knobs: ['workers'], workers: { start: 8, most: 60 }, batch, batchTime: 1_000 } as const;

/** A gate, its events in words, and a target that is told by the time its batches take: all in flight start and end together. */
function bench(changed: Partial<AdaptiveOptions> = {}) {
  const events: string[] = [];
  const onEvent = ({ kind, of, from, to, reason }: GateEvent) =>
    events.push(`${kind} ${of} ${from} -> ${to}: ${reason}`);
  const gate = new AdaptiveGate({ ...options, ...changed, onEvent });
  let now = 0;
  return {
    gate,
    events,
    /** Rounds of batches of 1,000 rows; `time` says how many milliseconds one takes. */
    run(rounds: number, time: (workers: number, bytes: number) => number, seen: Partial<Sample> = {}) {
      for (let round = 0; round < rounds; round++) {
        const inFlight = gate.current;
        const rows = 1_000 * (gate.batchBytes / batch.start);
        const startedAt = now;
        now += time(inFlight, gate.batchBytes);
        const common = { startedAt, endedAt: now, inFlight, meanInFlight: inFlight, rows, bytes: gate.batchBytes };
        for (let index = 0; index < inFlight; index++) {
          const oldestInFlight = index < inFlight - 1 ? startedAt : now;
          gate.onSample({ ...common, oldestInFlight, outcome: 'written', saturated: true, retried: false, ...seen });
        }
      }
    },
    turnAway(startedAt: number, retried = false) {
      const reason = '53300 too_many_connections';
      const inFlight = gate.current;
      const common = { inFlight, meanInFlight: inFlight, rows: 0, bytes: 0, saturated: true, retried };
      gate.onSample({ ...common, startedAt, endedAt: now, oldestInFlight: now, outcome: 'throttled', reason });
    },
    get now() {
      return now;
    },
  };
}

/** A target with so many cores, of which a batch keeps one busy for 20 ms. */
const cores = (count: number) => (workers: number) => 20 * Math.max(1, workers / count);

/** Milliseconds from when two are in flight to when one is. */
function fromTwoToOne(time: (workers: number) => number): number {
  const target = bench();
  while (target.gate.current > 2) target.run(1, time);
  const reached = target.now;
  while (target.gate.current > 1 && target.now < reached + 60_000) target.run(1, time);
  expect(target.gate.current).toBe(1);
  return target.now - reached;
}

describe('the number in flight', () => {
  test('is left alone until there is a reading', () => {
    const { gate, run } = bench();
    run(2, cores(60));
    expect(gate.current).toBe(8);
  });

  test('climbs while that pays, by longer strides when it pays fully, and stops where it no longer does', () => {
    const { gate, events, run } = bench();
    run(60, cores(32));
    expect(events.slice(0, 3)).toEqual([
      'change workers 8 -> 16: throughput +100 %',
      'change workers 16 -> 32: throughput +100 %',
      'trial workers 32 -> 60: throughput +0 %',
    ]);
    expect(gate.current).toBe(32);
  });

  test('goes down where fewer do as much', () => {
    const { gate, events, run } = bench();
    run(100, cores(4));
    expect(events.slice(0, 3)).toEqual([
      'trial workers 8 -> 16: throughput +0 %',
      'change workers 8 -> 4: throughput +0 %',
      'trial workers 4 -> 2: throughput -50 %',
    ]);
    expect(gate.current).toBe(4);
  });

  test('having come down to two, tries one only after a long rest, for nearly everywhere that costs throughput', () => {
    expect(fromTwoToOne(cores(1))).toBeGreaterThan(8_000);
  });

  test('comes down to one at once where fewer gained much', () => {
    // Each beyond the first costs all of them three tenths.
    expect(fromTwoToOne((workers) => 20 * workers * (1 + 0.3 * (workers - 1)))).toBeLessThan(4_000);
  });

  test('tries a little fewer first where batches take long, for half as many cost a climb more', () => {
    const { events, run } = bench();
    run(40, (workers) => 500 * Math.max(1, workers / 8));
    expect(events.slice(0, 2)).toEqual([
      'trial workers 8 -> 6: throughput -25 %',
      'trial workers 8 -> 16: throughput +0 %',
    ]);
  });

  test('comes back from a stride that went too far', () => {
    const { gate, run } = bench();
    // Each beyond 16 costs all of them a tenth.
    run(200, (workers) => 20 * Math.max(1, workers / 16) * (1 + 0.1 * Math.max(0, workers - 16)));
    expect(gate.current).toBeGreaterThanOrEqual(14);
    expect(gate.current).toBeLessThanOrEqual(18);
  });

  test('rises with the throughput though each batch takes longer, as where commits share a flush', () => {
    const { gate, run } = bench();
    run(100, (workers) => 20 + workers / 4);
    expect(gate.current).toBe(60);
  });

  test('never exceeds the most there may be', () => {
    const { gate, run } = bench({ workers: { start: 100, most: 12 } });
    expect(gate.current).toBe(12);
    for (let step = 0; step < 50; step++) {
      run(3, cores(60));
      expect(gate.current).toBeLessThanOrEqual(12);
    }
  });

  test('stays as it is while the source is the slow part', () => {
    const { gate, events, run } = bench();
    run(200, cores(60), { saturated: false });
    expect(gate.current).toBe(8);
    expect(events).toEqual([]);
  });

  test('a trial that the source could not keep up with is taken back', () => {
    const { gate, events, run } = bench();
    while (gate.current === 8) run(1, cores(60));
    run(30, cores(60), { saturated: false });
    expect(gate.current).toBe(8);
    expect(events).toEqual(['trial workers 8 -> 16: the source is the slow part']);
  });

  test('follows when the target can do more, and when it can do less', () => {
    const { gate, run } = bench();
    run(200, cores(4));
    expect(gate.current).toBe(4);
    run(400, cores(20));
    expect(gate.current).toBeGreaterThanOrEqual(18);
    run(200, cores(4));
    expect(gate.current).toBeLessThanOrEqual(6);
  });

  test('goes back to what it was after a pause of the target', () => {
    const { gate, run } = bench();
    run(100, cores(8));
    run(4, (workers) => 40 * cores(8)(workers));
    let there = 0;
    for (let round = 0; round < 200; round++) {
      run(1, cores(8));
      if (gate.current === 8) there += 1;
    }
    // The rest are trials.
    expect(there).toBeGreaterThan(140);
  });

  test('a gain that more in flight can not explain is not taken for one', () => {
    const { gate, events, run } = bench();
    run(100, cores(8));
    events.length = 0;
    while (gate.current <= 8) run(1, cores(8));
    run(30, (workers) => cores(8)(workers) / 4);
    expect(events[0]).toMatch(/^trial workers 8 -> 11: throughput \+300 %$/);
  });
});

describe('a batch turned away', () => {
  test('halves the number in flight, once for all that were there', () => {
    const { gate, events, run, turnAway, now } = bench({ workers: { start: 16, most: 60 } });
    run(1, cores(60));
    for (let index = 0; index < 5; index++) turnAway(now);
    expect(gate.current).toBe(8);
    expect(events).toEqual(['change workers 16 -> 8: 53300 too_many_connections']);
  });

  test('again, when it was started after that', () => {
    const made = bench({ workers: { start: 16, most: 60 } });
    made.run(1, cores(60));
    made.turnAway(0);
    made.run(1, cores(60));
    made.turnAway(made.now);
    expect(made.gate.current).toBe(4);
  });

  test('leaves one in flight', () => {
    const { gate, turnAway } = bench({ workers: { start: 1, most: 60 } });
    turnAway(0);
    expect(gate.current).toBe(1);
  });

  test('is remembered: as many as were not turned away is the most for a second', () => {
    const made = bench({ workers: { start: 32, most: 60 } });
    made.run(1, cores(60));
    // 12 of the 32; those tried again say nothing new.
    for (let index = 0; index < 12; index++) made.turnAway(0);
    for (let index = 0; index < 12; index++) made.turnAway(0, true);
    const until = made.now + 950;
    let most = 0;
    while (made.now < until) {
      made.run(1, cores(60));
      most = Math.max(most, made.gate.current);
    }
    expect(most).toBe(20);
    made.run(200, cores(60));
    expect(made.gate.current).toBeGreaterThan(20);
  });

  test('does not move a number that is fixed', () => {
    const { gate, turnAway, run } = bench({ knobs: ['batch'], workers: { start: 7, most: 7 } });
    turnAway(0);
    run(200, cores(60));
    expect(gate.current).toBe(7);
  });
});

describe('the size of a batch', () => {
  const sized = { knobs: ['batch'], workers: { start: 4, most: 4 } } as const;
  /** A batch costs 20 ms, and 10 ms more for each 256 KiB. */
  const costly = (_workers: number, bytes: number) => 20 + (10 * bytes) / batch.start;

  test('grows while that makes a row cheaper, within the bytes that may be in flight', () => {
    const { gate, events, run } = bench(sized);
    run(300, costly);
    expect(events[0]).toBe(`change batch ${256 * kibibyte} -> ${512 * kibibyte}: throughput +50 %`);
    expect(gate.batchBytes).toBeGreaterThan(1024 * kibibyte);
    expect(gate.batchBytes * 4).toBeLessThanOrEqual(batch.inFlight);
  });

  test('falls where smaller ones do better, and stays where they do as well', () => {
    const better = bench({ ...sized, batch: { ...batch, start: 2048 * kibibyte } });
    better.run(300, (_workers, bytes) => (bytes / batch.start) ** 1.5 * 10);
    expect(better.gate.batchBytes).toBe(64 * kibibyte);
    const same = bench({ ...sized, batch: { ...batch, start: 2048 * kibibyte } });
    same.run(300, (_workers, bytes) => (10 * bytes) / batch.start);
    expect(same.events.filter((event) => event.startsWith('change'))).toEqual([]);
  });

  test('never grows beyond what the batch time allows', () => {
    const { gate, run } = bench({ ...sized, batchTime: 45 });
    for (let step = 0; step < 300; step++) {
      run(1, costly);
      expect(costly(4, gate.batchBytes)).toBeLessThanOrEqual(46);
    }
  });

  test('is cut when a batch takes longer than the batch time, by half at most at once', () => {
    const { gate, events, run } = bench({ ...sized, batch: { ...batch, start: 2048 * kibibyte } });
    run(4, () => 3_000);
    expect(events[0]).toBe(`change batch ${2048 * kibibyte} -> ${1024 * kibibyte}: a batch took 3.0 s`);
    run(100, () => 3_000);
    expect(gate.batchBytes).toBe(64 * kibibyte);
  });

  test('shrinks with the memory that is left for each, the more are in flight', () => {
    const { gate, run } = bench({ batch: { ...batch, start: 2048 * kibibyte } });
    expect(gate.batchBytes).toBe(2048 * kibibyte);
    run(200, (_workers, bytes) => (10 * bytes) / batch.start);
    expect(gate.current).toBe(60);
    expect(gate.batchBytes).toBeLessThanOrEqual(Math.floor(batch.inFlight / 60));
  });
});

test('whatever it is told, it keeps within its bounds', () => {
  const told = fc.record({
    after: fc.integer({ min: 0, max: 500 }),
    time: fc.integer({ min: 0, max: 5_000 }),
    oldest: fc.integer({ min: 0, max: 5_000 }),
    rows: fc.integer({ min: 0, max: 50_000 }),
    inFlight: fc.integer({ min: 1, max: 60 }),
    meanInFlight: fc.double({ min: 1, max: 60, noNaN: true }),
    outcome: fc.constantFrom('written', 'throttled', 'failed'),
    saturated: fc.boolean(),
    retried: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(told, { maxLength: 400 }), fc.integer({ min: 1, max: 60 }), (samples, start) => {
      const gate = new AdaptiveGate({ ...options, knobs: ['workers', 'batch'], workers: { start, most: 40 } });
      let now = 0;
      for (const { after, time, oldest, ...sample } of samples) {
        now += after;
        const startedAt = now - time;
        gate.onSample({ ...sample, startedAt, endedAt: now, oldestInFlight: now - oldest, bytes: sample.rows });
        expect(Number.isInteger(gate.current)).toBe(true);
        expect(gate.current).toBeGreaterThanOrEqual(1);
        expect(gate.current).toBeLessThanOrEqual(40);
        expect(gate.batchBytes).toBeGreaterThanOrEqual(batch.least);
        expect(gate.batchBytes).toBeLessThanOrEqual(Math.max(batch.least, batch.most));
      }
    }),
    { numRuns: 200 },
  );
});
