import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LoadOptions, load, type Row } from '../../src/index.js';
import { type PostgresOptions, postgres } from '../../src/sinks/postgres/index.js';
import { file } from '../../src/sources/file/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';

let db: ScratchDatabase;
let folder: string;

beforeEach(async () => {
  db = await scratchDatabase();
  folder = await mkdtemp(join(tmpdir(), 'sluice-columns-'));
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const into = (options: Partial<PostgresOptions> = {}) => postgres({ url: db.url, table: 't', ...options });

/** Writes the files, and names them in the order given. */
async function files(texts: Readonly<Record<string, string>>): Promise<string[]> {
  for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
  return Object.keys(texts).map((name) => join(folder, name));
}

async function table(sql: string): Promise<unknown[]> {
  return (await db.client.query(sql)).rows;
}

describe('a list of CSV and NDJSON files', () => {
  const csv = 'id,j\n1,"{""a"":1}"\n';
  const ndjson = '{"id":2,"j":"123"}\n{"id":3,"j":{"x":1}}\n{"id":4,"j":"{\\"a\\":1}"}\n';

  test.each([
    ['CSV first', ['a.csv', 'b.ndjson']],
    ['NDJSON first', ['b.ndjson', 'a.csv']],
  ])('keeps text text and JSON strings strings, %s', async (_, order) => {
    await db.client.query('CREATE TABLE t (id int, j jsonb)');
    await files({ 'a.csv': csv, 'b.ndjson': ndjson });
    const source = file({ path: order.map((name) => join(folder, name)) });
    expect(await load({ source, sink: into() })).toMatchObject({ status: 'complete', written: 4 });
    expect(await table('SELECT id, j::text, jsonb_typeof(j) AS type FROM t ORDER BY id')).toEqual([
      { id: 1, j: '{"a": 1}', type: 'object' },
      { id: 2, j: '"123"', type: 'string' },
      { id: 3, j: '{"x": 1}', type: 'object' },
      { id: 4, j: '"{\\"a\\":1}"', type: 'string' },
    ]);
  });

  test('makes a table whose types fit the values of both', async () => {
    const path = await files({ 'a.csv': 'id,n,x\n1,1.5,7\n', 'b.ndjson': '{"id":2,"n":3,"x":"seven"}\n' });
    const report = await load({ source: file({ path: path.reverse() }), sink: into({ create: true }) });
    expect(report).toMatchObject({ status: 'complete', written: 2 });
    expect(await table('SELECT pg_typeof(id)::text AS id, pg_typeof(n)::text AS n, x FROM t ORDER BY t.id')).toEqual([
      { id: 'bigint', n: 'numeric', x: '7' },
      { id: 'bigint', n: 'numeric', x: 'seven' },
    ]);
  });
});

describe('a field first seen late', () => {
  const records = Array.from({ length: 3_000 }, (_, id) =>
    id >= 2_000 && id < 2_050 ? { id, note: `n${id}` } : { id },
  );

  test.each(['append', 'upsert'] as const)('goes into the column the table has for it, in mode %s', async (mode) => {
    await db.client.query(
      "CREATE TABLE t (id int PRIMARY KEY, note text, kind text DEFAULT 'plain', twice int GENERATED ALWAYS AS (id * 2) STORED)",
    );
    const report = await load({ source: iterable(records), sink: into({ mode }) });
    expect(report).toMatchObject({ status: 'complete', written: 3_000, rejected: 0 });
    expect(await table('SELECT count(*)::int, count(note)::int AS notes, count(kind)::int AS kinds FROM t')).toEqual([
      { count: 3_000, notes: 50, kinds: 3_000 },
    ]);
  });

  test('leaves what the record lacks as it is when rows are changed', async () => {
    await db.client.query("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t VALUES (1, 'kept')");
    await load({ source: iterable(records), sink: into({ mode: 'upsert' }) });
    expect(await table('SELECT note FROM t WHERE id IN (1, 2001) ORDER BY id')).toEqual([
      { note: 'kept' },
      { note: 'n2001' },
    ]);
  });

  test('is made by a mapping function, too', async () => {
    await db.client.query('CREATE TABLE t (id int, note text)');
    const columns = ({ id, note }: Row): Row => (note === undefined ? { id } : { id, note });
    expect(await load({ source: iterable(records), sink: into(), columns })).toMatchObject({ written: 3_000 });
    expect(await table('SELECT count(note)::int FROM t')).toEqual([{ count: 50 }]);
  });
});

describe('a glob of CSV files with different headers', () => {
  const first = `id,a\n${'1,x\n'.repeat(2_000)}`;
  const loadAll = (more: Partial<LoadOptions> = {}) =>
    load({ source: file({ path: join(folder, '*.csv') }), sink: into(), ...more });

  test('puts each field where the table has it', async () => {
    await db.client.query('CREATE TABLE t (id int, a text, b text)');
    await files({ '1.csv': first, '2.csv': 'b,id,a\nbee,2,y\n', '3.csv': 'id,b\n3,z\n' });
    expect(await loadAll()).toMatchObject({ status: 'complete', written: 2_002 });
    expect(await table('SELECT * FROM t WHERE id > 1 ORDER BY id')).toEqual([
      { id: 2, a: 'y', b: 'bee' },
      { id: 3, a: null, b: 'z' },
    ]);
  });

  test('makes a table with all of them', async () => {
    await files({ '1.csv': first, '2.csv': 'id,b\n2,z\n' });
    expect(await loadAll({ sink: into({ create: true }) })).toMatchObject({ status: 'complete', written: 2_001 });
    expect(await table('SELECT id::int, b FROM t WHERE b IS NOT NULL')).toEqual([{ id: 2, b: 'z' }]);
  });

  test.each([
    ['a field the table lacks', {}, /has no column "c"/],
    ['no field the mapping names', { columns: { id: 'id', a: 'a' } }, /to be filled from "a"/],
  ] as const)('is refused before the first row when a later one has %s', async (_, more, message) => {
    await db.client.query('CREATE TABLE t (id int, a text)');
    await files({ '1.csv': first, '2.csv': 'id,c\n2,z\n' });
    await expect(loadAll(more)).rejects.toThrow(message);
    expect(await table('SELECT count(*)::int FROM t')).toEqual([{ count: 0 }]);
  });
});

describe('a source without a record', () => {
  test.each([
    ['only a header', 'id,a\n'],
    ['nothing', ''],
  ])('of %s is checked against the target', async (_, text) => {
    const [path] = await files({ 'a.csv': text });
    const source = () => file({ path: path! });
    await expect(load({ source: source(), sink: into() })).rejects.toMatchObject({ code: 'no-such-table' });
    const dead = postgres({ url: 'postgres://x:y@127.0.0.1:1/nope', table: 't' });
    await expect(load({ source: source(), sink: dead })).rejects.toMatchObject({ code: 'connection-refused' });
    await db.client.query('CREATE TABLE t (id int NOT NULL, a text)');
    expect(await load({ source: source(), sink: into() })).toMatchObject({ status: 'complete', read: 0 });
  });

  test('with a header of other fields is an error', async () => {
    await db.client.query('CREATE TABLE t (id int, a text)');
    const [path] = await files({ 'a.csv': 'id,b\n' });
    await expect(load({ source: file({ path: path! }), sink: into() })).rejects.toMatchObject({
      code: 'unknown-field',
    });
  });

  test('makes its table when it has a header, and none when nothing is known', async () => {
    const create = { create: true, key: ['id'] };
    expect(await load({ source: iterable([]), sink: into(create) })).toMatchObject({ status: 'complete', read: 0 });
    expect(await table("SELECT to_regclass('t') AS t")).toEqual([{ t: null }]);
    const [path] = await files({ 'a.csv': 'id,a\n' });
    expect(await load({ source: file({ path: path! }), sink: into(create) })).toMatchObject({ status: 'complete' });
    expect(await table('SELECT id, a FROM t')).toEqual([]);
  });
});
