import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scratchDatabase } from '../servers/database.js';
import { type S3Server, startS3rver } from '../servers/s3.js';
import { lineTo } from '../sinks/postgres/line.js';
import { reportOf, scratchFolder, sluice } from './sluice.js';

let store: S3Server;
beforeAll(async () => {
  store = await startS3rver();
});
afterAll(() => store[Symbol.asyncDispose]());

const rows = 60_000;
const csv = (first: number) =>
  `id,name\n${Array.from({ length: rows }, (_, i) => `${first + i},"name ${first + i}"\n`).join('')}`;

test('sluice load takes objects of S3, and goes on after the store was gone, with nothing lost and nothing twice', async () => {
  await using database = await scratchDatabase();
  await using folder = await scratchFolder();
  await store.put('orders/1.csv', csv(0));
  await store.put('orders/2.csv.gz', gzipSync(csv(rows)));
  await database.client.query('CREATE TABLE orders (id int, name text)');
  await using line = await lineTo(store.url);
  let passed = 0;
  line.onAnswer = (data) => {
    passed += data.length;
    return passed < 900_000;
  };
  const args = ['load', 's3://shop/orders/*.csv*', database.url, '--table', 'orders', '--json', '--resume'];
  const flags = ['--workers', '2', '--batch-size', '1000'];
  const env = { ...store.env, AWS_ENDPOINT_URL_S3: line.url, AWS_MAX_ATTEMPTS: '1' };
  const broken = await sluice([...args, ...flags], { cwd: folder.path, env });
  expect(broken).toMatchObject({ code: 3, stderr: expect.stringContaining('s3://shop/orders/1.csv') });
  expect(reportOf(broken)).toMatchObject({ status: 'failed' });
  const before = await database.client.query('SELECT count(*)::int AS n FROM orders');
  expect(before.rows[0].n).toBeGreaterThan(0);

  const done = await sluice([...args, ...flags], { cwd: folder.path, env: store.env });
  expect(reportOf(done)).toMatchObject({ status: 'complete', written: 2 * rows - before.rows[0].n });
  const { rows: found } = await database.client.query(
    `SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids FROM orders WHERE name = 'name ' || id`,
  );
  expect(found).toEqual([{ rows: 2 * rows, ids: 2 * rows }]);
});

test('an object that was replaced since is not gone on with', async () => {
  await using database = await scratchDatabase();
  await using folder = await scratchFolder();
  await store.put('changing/1.csv', csv(0));
  const args = [
    'load',
    's3://shop/changing/*.csv',
    database.url,
    '--table',
    'o',
    '--create',
    '--resume',
    '--limit',
    '100',
  ];
  expect((await sluice(args, { cwd: folder.path, env: store.env })).code).toBe(0);
  await store.put('changing/1.csv', csv(7));
  const again = await sluice(args.slice(0, -2), { cwd: folder.path, env: store.env });
  expect(again).toMatchObject({ code: 3, stderr: expect.stringContaining('is not what it was') });
});
