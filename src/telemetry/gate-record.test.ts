import { expect, test } from 'vitest';
import type { GateEvent } from '../contract/index.js';
import { describeChange, GateRecord } from './gate-record.js';

const event = (at: number, from: number, to: number, rest: Partial<GateEvent> = {}): GateEvent => ({
  at,
  kind: 'change',
  of: 'workers',
  from,
  to,
  reason: 'throughput +18 %',
  ...rest,
});

test('tells the start, the end and the extremes, and each change in its order', () => {
  const record = new GateRecord(8, 1_000);
  record.add(event(1_500, 8, 16));
  record.add(event(2_500, 16, 32, { kind: 'trial', reason: 'throughput -3 %' }));
  record.add(event(3_000, 16, 4, { reason: '53300 too_many_connections' }));
  expect(record.report(1024)).toEqual({
    workers: { start: 8, end: 4, least: 4, most: 16 },
    batchBytes: 1024,
    changes: [
      { seconds: 0.5, of: 'workers', from: 8, to: 16, reason: 'throughput +18 %' },
      { seconds: 2, of: 'workers', from: 16, to: 4, reason: '53300 too_many_connections' },
    ],
    leftOut: 0,
    trials: 1,
  });
});

test('of a long run the first and the last hundred changes are kept', () => {
  const record = new GateRecord(1, 0);
  for (let n = 1; n <= 250; n++) record.add(event(n * 1000, n, n + 1));
  const { changes, leftOut } = record.report(0);
  expect(leftOut).toBe(50);
  expect(changes.map(({ from }) => from)).toEqual([
    ...Array.from({ length: 100 }, (_, n) => n + 1),
    ...Array.from({ length: 100 }, (_, n) => n + 151),
  ]);
});

test('the last change is news for five seconds', () => {
  const record = new GateRecord(12, 0);
  expect(record.latest(0)).toBeUndefined();
  record.add(event(1_000, 12, 16));
  expect(record.latest(6_000)).toBe('workers 12 -> 16: throughput +18 %');
  expect(record.latest(6_001)).toBeUndefined();
});

test('batches are told in KiB', () => {
  const change = { of: 'batch', from: 1_048_576, to: 1_468_006, reason: 'throughput +6 %' } as const;
  expect(describeChange(change)).toBe('batch 1024 -> 1434 KiB: throughput +6 %');
});
