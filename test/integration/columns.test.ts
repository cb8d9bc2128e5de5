import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { load } from '../../src/index.js';
import { type PostgresOptions, postgres } from '../../src/sinks/postgres/index.js';
import { file } from '../../src/sources/file/index.js';
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
