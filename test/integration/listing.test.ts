import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { load, type Row } from '../../src/index.js';
import { type PostgresOptions, postgres } from '../../src/sinks/postgres/index.js';
import { http } from '../../src/sources/http/index.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';
import { startTroubledApi, type TroubledApi } from '../servers/troubled-api.js';

let db: ScratchDatabase;
let pages: readonly (readonly Row[])[] = [];
let total: number | undefined;
let api: TroubledApi;

beforeEach(async () => {
  db = await scratchDatabase();
  api = await startTroubledApi(({ query }) => ({
    headers: { ...(total !== undefined && { 'x-total': String(total) }) },
    body: pages[Number(query.get('page') ?? 1) - 1] ?? [],
  }));
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

const listing = () => http({ url: api.url, pagination: { style: 'page', total: { header: 'x-total' } } });
const into = (options: Partial<PostgresOptions> = {}) => postgres({ url: db.url, table: 't', ...options });

test.each([
  ['the primary key', undefined],
  ['the key that is given', ['id']],
])('a record that moved to the next page is told by %s', async (_, key) => {
  pages = [
    [
      { id: 1, x: 1 },
      { id: 2, x: 2 },
    ],
    [
      { id: 2, x: 5 },
      { id: 3, x: 3 },
    ],
  ];
  total = 3;
  await db.client.query('CREATE TABLE t (id int PRIMARY KEY, x int)');
  const report = await load({ source: listing(), sink: into({ mode: 'upsert', ...(key && { key }) }) });
  expect(report).toMatchObject({ status: 'complete', read: 4, written: 3, duplicate: 1 });
  expect((await db.client.query('SELECT * FROM t ORDER BY id')).rows).toEqual([
    { id: 1, x: 1 },
    { id: 2, x: 2 },
    { id: 3, x: 3 },
  ]);
});

test.each([
  ['throws', (record: Row): Row => ({ id: record.id, x: (record.n as Row).x })],
  ['gives nothing', (record: Row): Row => (record.n === undefined ? (undefined as never) : { id: record.id, x: 1 })],
  ['gives no object', (record: Row): Row => (record.n === undefined ? ('x' as never) : { id: record.id, x: 1 })],
])('a record on which the mapping function %s costs that record', async (_, columns) => {
  pages = [[{ id: 1, n: { x: 1 } }, { id: 2 }, { id: 3, n: { x: 3 } }]];
  total = 3;
  await db.client.query('CREATE TABLE t (id int PRIMARY KEY, x int)');
  const report = await load({ source: listing(), columns, sink: into({ mode: 'upsert', key: ['id'] }) });
  expect(report).toMatchObject({ status: 'complete-with-rejects', read: 3, written: 2, rejected: 1 });
  const rejects = await db.client.query('SELECT code, row FROM sluice.reject');
  expect(rejects.rows).toEqual([{ code: 'mapping-failed', row: '1' }]);
});

describe('a listing without a key', () => {
  const page = (...values: number[]) => values.map((v) => ({ v }));

  test.each([
    ['equal neighbours on two pages', [page(1, 2), page(2, 3)]],
    ['two equal pages', [page(1, 1), page(1, 1), page(2, 3)]],
    ['two equal pages at its end', [page(2, 3), page(1, 1), page(1, 1)]],
    ['three equal pages', [page(1, 1), page(1, 1), page(1, 1), page(2, 3)]],
  ])('may have %s, and is complete when its total is reached', async (_, given) => {
    pages = given;
    total = given.flat().length;
    await db.client.query('CREATE TABLE t (v int)');
    const report = await load({ source: listing(), sink: into() });
    expect(report).toMatchObject({ status: 'complete', read: total, written: total, duplicate: 0 });
  });

  test('drops nothing of a page that comes twice where no total tells, and does not call that proven', async () => {
    pages = [page(1, 1), page(1, 1), page(2, 3)];
    total = undefined;
    await db.client.query('CREATE TABLE t (v int)');
    const failure = await load({ source: listing(), sink: into() }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'incomplete', report: { read: 6, written: 6, duplicate: 0 } });
  });

  test('that gives one page for ever is left, soon', async () => {
    pages = Array.from({ length: 1_000 }, () => page(1, 2));
    total = undefined;
    await db.client.query('CREATE TABLE t (v int)');
    const failure = await load({ source: listing(), sink: into() }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'incomplete',
      report: { written: 2, problems: [{ name: 'ignored-offset' }, { name: 'no-total' }] },
    });
    expect(api.requests.length).toBeLessThan(20);
  });
});
