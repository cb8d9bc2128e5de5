import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { NotWritten } from '../errors.js';
import { gateOptions, throttleReason, workersFor } from './gate.js';
import type { Settings } from './options.js';
import { RejectBudget } from './reject-budget.js';

const settings: Settings = {
  workers: undefined,
  maxWorkers: undefined,
  batchRows: undefined,
  batchTime: 1_000,
  limit: undefined,
  budget: new RejectBudget(100),
};
const traits = {
  maxBatchRows: 50_000,
  maxBatchBytes: 4 * 1024 * 1024,
  guarantee: 'exactly once',
  rewrites: false,
} as const;
const usual = availableParallelism() * 2;
const kibibyte = 1024;

test.each([
  ['nothing is asked for', {}, undefined, { start: usual, most: 64 }],
  ['the target has few free', {}, 3, { start: 3, most: 3 }],
  ['the target has none free', {}, 0, { start: 1, most: 1 }],
  ['a most is given', { maxWorkers: 2 }, 90, { start: 2, most: 2 }],
  ['a high most is given', { maxWorkers: 200 }, 90, { start: usual, most: 90 }],
  ['a number is given', { workers: 7 }, 90, { start: 7, most: 7 }],
  ['a number is given that is not free', { workers: 100 }, 90, { start: 90, most: 90 }],
])('workers when %s', (_name, given, free, expected) => {
  expect(workersFor({ ...settings, ...given }, free)).toEqual(expected);
});

test.each([
  [1, 4096, 4096],
  [4, 2048, 1024],
  [8, 1024, 512],
  [60, 256, 256],
])(
  'with %i workers batches begin with %i KiB; with %i where that is but where the search begins',
  (start, fixed, found) => {
    const bytes = (workers: number | undefined) =>
      gateOptions({ ...settings, workers }, { start, most: 64 }, traits, () => {}).batch.start / kibibyte;
    expect([bytes(start), bytes(undefined)]).toEqual([fixed, found]);
  },
);

test('a sink that takes small batches only is given none larger', () => {
  const small = { ...traits, maxBatchBytes: 64 * kibibyte };
  const { batch } = gateOptions(settings, { start: 8, most: 64 }, small, () => {});
  expect([batch.start, batch.least, batch.most]).toEqual([64 * kibibyte, 64 * kibibyte, 64 * kibibyte]);
});

test('what is given is not looked for', () => {
  const knobs = (given: Partial<Settings>) =>
    gateOptions({ ...settings, ...given }, { start: 8, most: 8 }, traits, () => {}).knobs;
  expect(knobs({})).toEqual(['workers', 'batch']);
  expect(knobs({ workers: 8 })).toEqual(['batch']);
  expect(knobs({ batchRows: 8 })).toEqual(['workers']);
});

test('the reason of a refusal is the innermost that bears a code', () => {
  const told = Object.assign(new Error('sorry, too many clients already'), { code: '53300' });
  const wrapped = new NotWritten('53300', 'PostgreSQL did not take the batch', { cause: told });
  expect(throttleReason(wrapped)).toBe('53300 sorry, too many clients already');
  expect(throttleReason(new Error('no code'))).toBe('no code');
  expect(throttleReason(Object.assign(new Error('x'.repeat(900)), { code: 'E' }))).toHaveLength(200);
});
