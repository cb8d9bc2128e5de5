import { expect, test } from 'vitest';
import type { Difference, Report } from '../../contract/index.js';
import { describeDryRun, summarize } from './summary.js';

const report: Report = {
  status: 'complete-with-rejects',
  run: 'r1',
  job: 'j1',
  source: 'file cities.csv',
  sink: 'postgres db.example:5432/geo public.cities upsert by id',
  guarantee: 'exactly once',
  read: 10_000,
  written: 9000,
  unchanged: 900,
  duplicate: 90,
  rejected: 10,
  skipped: 0,
  bytes: 1_234_000,
  seconds: 0.8,
  batches: 2,
  retries: 1,
  workers: 8,
  gate: {
    workers: { start: 8, end: 8, least: 8, most: 8 },
    batchBytes: 1_048_576,
    changes: [],
    leftOut: 0,
    trials: 0,
  },
  problems: [
    { name: 'overlap', message: 'pages 3 and 4 share records', incomplete: false, count: 2 },
    { name: 'total-drift', message: 'the total fell from 10 to 9', incomplete: true, count: 1 },
  ],
  runDir: 'runs/x',
  rejectsFile: 'runs/x/rejects.ndjson',
  startedAt: '2026-01-01T00:00:00.000Z',
  endedAt: '2026-01-01T00:00:00.800Z',
  error: null,
};

test('a run is summed up so that it adds up, with what to look at', () => {
  expect(summarize(report)).toBe(`Complete, with rejects: 10,000 records (1.23 MB) in 0.80 s, 12,500 rows/s
  read 10,000 = written 9,000 + unchanged 900 + duplicate 90 + rejected 10 + skipped 0
  from     file cities.csv
  into     postgres db.example:5432/geo public.cities upsert by id (exactly once)
  with     2 batches, at most 8 at once, 1 retry
  problem  overlap (2 times): pages 3 and 4 share records
  problem  total-drift: the total fell from 10 to 9
  rejects  runs/x/rejects.ndjson
  folder   runs/x`);
});

test('a run without a folder and without a moment to spare is summed up too', () => {
  const bare = {
    ...report,
    status: 'complete',
    read: 0,
    seconds: 0,
    problems: [],
    runDir: null,
    rejectsFile: null,
  } as const;
  expect(summarize(bare).split('\n')[0]).toBe('Complete: no record was read');
  expect(summarize(bare)).not.toContain('folder');
});

test('what had been settled before is not counted among what this run did', () => {
  const head = (more: Partial<Report>) => summarize({ ...report, status: 'complete', ...more }, true).split('\n')[0];
  expect(head({ skipped: 10_000, written: 0, unchanged: 0, duplicate: 0, rejected: 0, bytes: 0 })).toBe(
    'Complete: nothing was left to do',
  );
  expect(head({ skipped: 6_000, written: 3_000 })).toBe(
    'Complete: 4,000 of 10,000 records (1.23 MB) in 0.80 s, 5,000 rows/s',
  );
});

test('a run that failed before its first record has no account of zeros', () => {
  expect(
    summarize({ ...report, status: 'failed', read: 0, rejectsFile: null }),
  ).toBe(`Failed before anything was written
  from     file cities.csv
  into     postgres db.example:5432/geo public.cities upsert by id (exactly once)
  folder   runs/x`);
});

test('what was read back is told with its differences', () => {
  const differences: Difference[] = [
    { key: { id: '17' }, column: 'name', expected: 'a', found: null },
    { key: { id: '18', at: null }, column: null, expected: null, found: null },
  ];
  const verify = { level: 'full', compared: 10_000, missing: 1, different: 1, differences } as const;
  expect(summarize({ ...report, verify })).toContain(`
  verify   full: 10,000 records, 1 missing, 1 different
           id=17 has name null instead of a
           id=18, at=null is missing
`);
  const well = { level: 'count', compared: 1, missing: 0, different: 0, differences: [] } as const;
  expect(summarize({ ...report, verify: well })).toContain('\n  verify   count: 1 row, all as written\n');
});

test('a dry run shows columns, statements and notes', () => {
  const plan = {
    job: 'j1',
    source: 'file a.csv',
    sink: 'postgres t',
    columns: [
      { column: 'id', from: 'id' },
      { column: 'longitude', from: 'loc.coordinates[0]' },
    ],
    sampled: 3,
    workers: 8,
    maxWorkers: 64,
    statements: ['CREATE TABLE t (\n  id bigint\n)'],
    notes: ['the table does not exist yet'],
  };
  expect(describeDryRun(plan)).toBe(`Dry run: nothing was changed. 3 records sampled.

from     file a.csv
into     postgres t
workers  8 to begin with, 64 at most

columns
  id         <- id
  longitude  <- loc.coordinates[0]

statements
  CREATE TABLE t (
    id bigint
  )

notes
  the table does not exist yet`);
});
