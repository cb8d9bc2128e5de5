import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import { csvBatch, decodedBatch } from '../../../test/sinks/postgres/batches.js';
import { testContext, writerTo as writer } from '../../../test/sinks/postgres/writing.js';
import { classify } from './errors.js';
import type { Mode } from './target.js';

const servers = inject('postgresServers').flatMap((server) => [
  { ...server, mergeable: true, merge: 'by MERGE' },
  { ...server, mergeable: false, merge: 'by ON CONFLICT' },
]);

describe.each(servers)('$name, $merge', ({ url, mergeable }) => {
  let database: ScratchDatabase;
  beforeAll(async () => {
    database = await scratchDatabase(url);
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
  });
  const writerTo = (to: ScratchDatabase, table: string, mode: Mode, key: readonly string[] = []) =>
    writer(to, table, mode, key, { mergeable });
  const rowsOf = async (query: string) => (await database.client.query({ text: query, rowMode: 'array' })).rows;
  async function table(columns: string): Promise<string> {
    await database.client.query(`DROP TABLE IF EXISTS t; CREATE TABLE t (${columns})`);
    return 't';
  }

  test('CSV bytes are appended, and the span is settled with them', async () => {
    await using to = await writerTo(database, await table('id int, note text'), 'append');
    const result = await to.writer.write(csvBatch(['id', 'note'], '1,a\n2,"b\nc ""d"""\n3,\n4,""\n'), testContext());
    expect(result).toEqual({ written: 4, unchanged: 0, duplicate: 0, rejects: [] });
    expect(await rowsOf('SELECT id, note FROM t ORDER BY id')).toEqual([
      [1, 'a'],
      [2, 'b\nc "d"'],
      [3, null],
      [4, ''],
    ]);
    expect(await rowsOf('SELECT split, from_row, rows FROM ledger.spans')).toEqual([['test', 0, 4]]);
  });

  test('decoded rows are appended', async () => {
    await using to = await writerTo(database, await table('id int8, note text'), 'append');
    const result = await to.writer.write(
      decodedBatch(
        ['id', 'note'],
        [
          [9007199254740993n, 'a\tb\\c\r\n'],
          [2, null],
        ],
      ),
      testContext(),
    );
    expect(result).toEqual({ written: 2, unchanged: 0, duplicate: 0, rejects: [] });
    expect(await rowsOf('SELECT id, note FROM t ORDER BY id')).toEqual([
      ['2', null],
      ['9007199254740993', 'a\tb\\c\r\n'],
    ]);
  });

  test('an upsert inserts, updates, leaves alone, and takes the last of a key', async () => {
    await using to = await writerTo(database, await table('id int primary key, note text'), 'upsert', ['id']);
    await database.client.query("INSERT INTO t VALUES (1, 'old'), (2, 'same')");
    const result = await to.writer.write(csvBatch(['id', 'note'], '1,new\n2,same\n3,first\n3,last\n'), testContext());
    expect(result).toEqual({ written: 2, unchanged: 1, duplicate: 1, rejects: [] });
    expect(await rowsOf('SELECT id, note FROM t ORDER BY id')).toEqual([
      [1, 'new'],
      [2, 'same'],
      [3, 'last'],
    ]);
  });

  test('a bad row becomes a reject with its SQLSTATE and column, and the rest arrives', async () => {
    await using to = await writerTo(database, await table('id int, note text'), 'append');
    const lines = Array.from({ length: 10_000 }, (_, i) => (i === 4_320 ? 'x,bad' : `${i},n${i}`));
    const result = await to.writer.write(csvBatch(['id', 'note'], `${lines.join('\n')}\n`), testContext());
    expect(result).toMatchObject({
      written: 9_999,
      rejects: [{ row: 4_320, code: '22P02', column: 'id', record: 'x,bad\n' }],
    });
    expect(await rowsOf('SELECT count(*)::int, count(DISTINCT id)::int FROM t')).toEqual([[9_999, 9_999]]);
    expect(await rowsOf('SELECT row, code FROM ledger.rejects')).toEqual([[4_320, '22P02']]);
  });

  test('unchanged rows are neither locked nor written', async () => {
    await using to = await writerTo(database, await table('id int primary key, note text'), 'upsert', ['id']);
    const batch = decodedBatch(
      ['id', 'note'],
      [
        [1, 'a'],
        [2, null],
        [3, 'c'],
      ],
    );
    await to.writer.write(batch, testContext());
    const before = await rowsOf('SELECT ctid::text, xmin::text, xmax::text FROM t ORDER BY id');
    expect(await to.writer.write(batch, testContext())).toEqual({
      written: 0,
      unchanged: 3,
      duplicate: 0,
      rejects: [],
    });
    expect(await rowsOf('SELECT ctid::text, xmin::text, xmax::text FROM t ORDER BY id')).toEqual(before);
  });

  test.each([
    ['next to one another', (n: number) => BigInt(n)],
    ['negative, and far apart', (n: number) => BigInt(n * n - 50) * 90_000_000_000_000_000n],
    ['in no order, some twice', (n: number) => BigInt((n * 7) % 8)],
  ])('integer keys %s are found', async (_, keyOf) => {
    await using to = await writerTo(database, await table('id int8 primary key, note text'), 'upsert', ['id']);
    const keys = Array.from({ length: 11 }, (_, n) => keyOf(n));
    const distinct = new Set(keys).size;
    await database.client.query('INSERT INTO t SELECT DISTINCT id, $2 FROM unnest($1::int8[]) AS id', [keys, 'old']);
    await database.client.query("INSERT INTO t VALUES (9000000000000000000, 'another')");
    await database.client.query('DELETE FROM t WHERE id = $1', [keys[3]]);
    const rows = keys.map((key, n) => [key, `new ${n}`]);
    const duplicate = keys.length - distinct;
    const first = await to.writer.write(decodedBatch(['id', 'note'], rows), testContext());
    expect(first).toEqual({ written: distinct, unchanged: 0, duplicate, rejects: [] });
    const again = await to.writer.write(decodedBatch(['id', 'note'], rows), testContext());
    expect(again).toEqual({ written: 0, unchanged: distinct, duplicate, rejects: [] });
    const last = new Map([
      ...rows.map(([key, note]) => [String(key), note] as const),
      ['9000000000000000000', 'another'],
    ]);
    expect(new Map((await rowsOf('SELECT id, note FROM t')).map(([id, note]) => [id, note]))).toEqual(last);
  });

  test('a key that somebody else inserts meanwhile is updated', async () => {
    await using to = await writerTo(database, await table('id int primary key, note text'), 'upsert', ['id']);
    const other = new pg.Client({ connectionString: database.url });
    await other.connect();
    await other.query("BEGIN; INSERT INTO t VALUES (2, 'theirs')");
    const writing = to.writer.write(
      decodedBatch(
        ['id', 'note'],
        [
          [1, 'ours'],
          [2, 'ours'],
        ],
      ),
      testContext(),
    );
    await expect
      .poll(() => rowsOf("SELECT count(*)::int FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"))
      .not.toEqual([[0]]);
    await other.query('COMMIT');
    await other.end();
    expect(await writing).toEqual({ written: 2, unchanged: 0, duplicate: 0, rejects: [] });
    expect(await rowsOf('SELECT * FROM t ORDER BY id')).toEqual([
      [1, 'ours'],
      [2, 'ours'],
    ]);
  });

  test('rows are told apart as the unique index does it, also where the column compares in another way', async () => {
    await database.client.query(
      `CREATE COLLATION IF NOT EXISTS blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    );
    await using to = await writerTo(database, await table('k text COLLATE blind, v int'), 'upsert', ['k']);
    await database.client.query(`CREATE UNIQUE INDEX ON t (k COLLATE "C")`);
    await database.client.query(`INSERT INTO t VALUES ('A', 1), ('a', 2), ('b', 3)`);
    await using fresh = await writerTo(database, 't', 'upsert', ['k']);
    const rows = [
      ['a', 20],
      ['b', 3],
    ];
    await fresh.writer.write(decodedBatch(['k', 'v'], rows), testContext());
    expect(await rowsOf('SELECT v FROM t ORDER BY k COLLATE "C"')).toEqual([[1], [20], [3]]);
    expect(to.target.mergeable).toBe(false);
  });

  test('writers that take the same rows in different orders all come to their end', async () => {
    await using one = await writerTo(database, await table('id int primary key, note text'), 'upsert', ['id']);
    await using two = await writerTo(database, 't', 'upsert', ['id']);
    await database.client.query("INSERT INTO t SELECT n, 'old' FROM generate_series(0, 3000) AS n");
    const rows = (note: string, step: number) =>
      decodedBatch(
        ['id', 'note'],
        Array.from({ length: 3_001 }, (_, n) => [(n * step) % 3_001, note]),
      );
    for (let round = 0; round < 5; round++) {
      const writes = [one, two].map(async ({ writer }, side) => {
        const batch = rows(`${side} ${round}`, side === 0 ? 1 : 2_999);
        for (let attempt = 0; ; attempt++) {
          try {
            return await writer.write(batch, testContext());
          } catch (error) {
            if (attempt === 3 || classify(error) !== 'retry') throw error;
          }
        }
      });
      expect(await Promise.all(writes)).toMatchObject([{ duplicate: 0 }, { duplicate: 0 }]);
    }
  });

  test('a row that violates another unique constraint fails the batch, to be divided', async () => {
    await using to = await writerTo(database, await table('id int primary key, code int UNIQUE'), 'upsert', ['id']);
    await database.client.query('INSERT INTO t VALUES (1, 10)');
    const rows = [
      [2, 20],
      [3, 10],
    ];
    const error = await to.writer.write(decodedBatch(['id', 'code'], rows), testContext()).catch((error) => error);
    expect(error).toMatchObject({ name: 'NotWritten', code: '23505' });
    expect(classify(error)).toBe('divide');
    expect(await rowsOf('SELECT * FROM t')).toEqual([[1, 10]]);
  });

  test('mode ignore keeps the rows that are there', async () => {
    await using to = await writerTo(database, await table('id int primary key, note text'), 'ignore', ['id']);
    await database.client.query("INSERT INTO t VALUES (1, 'old')");
    const result = await to.writer.write(csvBatch(['id', 'note'], '1,new\n2,first\n2,last\n'), testContext());
    expect(result).toEqual({ written: 1, unchanged: 1, duplicate: 1, rejects: [] });
    expect(await rowsOf('SELECT id, note FROM t ORDER BY id')).toEqual([
      [1, 'old'],
      [2, 'first'],
    ]);
  });

  test('mode ignore keeps the first of a key whose rows have different fields', async () => {
    await using to = await writerTo(database, await table('id int primary key, a int, b int'), 'ignore', ['id']);
    const records = [
      [1, undefined, 1],
      [1, 2, 2],
      [1, undefined, 3],
    ];
    const result = await to.writer.write(decodedBatch(['id', 'a', 'b'], records), testContext());
    expect(result).toMatchObject({ written: 1, rejects: [] });
    expect(await rowsOf('SELECT * FROM t')).toEqual([[1, null, 1]]);
  });

  test('a change of the stored form is a change', async () => {
    const columns = 'id int primary key, n numeric, j jsonb, f float8, a numeric[], x xml, i interval, c text';
    await using to = await writerTo(database, await table(columns), 'upsert', ['id']);
    const names = ['id', 'n', 'j', 'f', 'a', 'x', 'i', 'c'];
    const old = ['1.1', '{"a":1.1}', '0', '{1}', '<a/>', '24:00:00', 'a'];
    const next = ['1.10', '{"a":1.10}', '-0', '{1.0}', '<a />', '1 day', 'A'];
    const batch = (rows: string[][]) =>
      decodedBatch(
        names,
        rows.map((row, i) => [String(i), ...row]),
        { textual: true },
      );
    const olds = old.map(() => old);
    await to.writer.write(batch(olds), testContext());
    await database.client.query('DELETE FROM ledger.spans');
    expect(await to.writer.write(batch(olds), testContext())).toMatchObject({ written: 0, unchanged: 7 });
    const each = old.map((_, i) => old.map((value, k) => (k === i ? next[k]! : value)));
    expect(await to.writer.write(batch(each), testContext())).toMatchObject({ written: 7, unchanged: 0 });
    expect(await rowsOf('SELECT n::text, j::text, f::text, a::text FROM t WHERE id < 4 ORDER BY id')).toEqual([
      ['1.10', '{"a": 1.1}', '0', '{1}'],
      ['1.1', '{"a": 1.10}', '0', '{1}'],
      ['1.1', '{"a": 1.1}', '-0', '{1}'],
      ['1.1', '{"a": 1.1}', '0', '{1.0}'],
    ]);
  });

  test('constants that are not text are written among the text of CSV', async () => {
    const columns = 'id int, tags text[], j jsonb, n numeric, b bool';
    await using to = await writerTo(database, await table(columns), 'append');
    const row = ['1', ['x', 'y "z"'], { a: [1] }, 1.5, true];
    const batch = decodedBatch(['id', 'tags', 'j', 'n', 'b'], [row], { textual: true });
    expect(await to.writer.write(batch, testContext())).toMatchObject({ written: 1, rejects: [] });
    expect(await rowsOf('SELECT id, tags, j, n::text, b FROM t')).toEqual([
      [1, ['x', 'y "z"'], { a: [1] }, '1.5', true],
    ]);
  });

  test('an option that COPY does not take is nothing to divide the batch for', async () => {
    await using to = await writerTo(database, await table('id int, note text'), 'append');
    const batch = csvBatch(['id', 'note'], '1\ta\n', { delimiter: '\t', null: 'a\tb' });
    const error = await to.writer.write(batch, testContext()).catch((reason: unknown) => reason);
    // Before 18 it is a feature not supported.
    expect(error).toMatchObject({ name: 'NotWritten', code: expect.stringMatching(/^(22023|0A000)$/) });
    expect(classify(error)).toBe('fatal');
  });

  test('a value that bears the code of a wrong option is still a bad value', async () => {
    await using to = await writerTo(database, await table('at timestamptz'), 'append');
    const batch = csvBatch(['at'], '2024-01-01 00:00 No/Where\n2024-01-01\n');
    const result = await to.writer.write(batch, testContext());
    expect(result).toMatchObject({ written: 1, rejects: [{ row: 0, code: '22023', column: 'at' }] });
  });

  test.each(['upsert', 'ignore'] as const)(
    'a record without a column that new rows need is refused only as a new row, in mode %s',
    async (mode) => {
      await using to = await writerTo(database, await table('id int primary key, a int NOT NULL, b int'), mode, ['id']);
      await database.client.query('INSERT INTO t VALUES (1, 1, 1), (5, 5, 5)');
      const records = [
        [1, undefined, 2],
        [2, 1, 1],
        [3, undefined, 3],
        [2, undefined, 7],
        [3, undefined, 4],
        [1, undefined, 9],
        [4, null, 1],
        [5, undefined, 5],
      ];
      const result = await to.writer.write(decodedBatch(['id', 'a', 'b'], records), testContext());
      expect(result.rejects.map(({ row, code, column }) => [row, code, column])).toEqual(
        [2, 4, 6].map((row) => [row, '23502', 'a']),
      );
      const upsert = mode === 'upsert';
      expect(result.written + result.unchanged + result.duplicate).toBe(5);
      expect(await rowsOf('SELECT * FROM t ORDER BY id')).toEqual([
        [1, 1, upsert ? 9 : 1],
        [2, 1, upsert ? 7 : 1],
        [5, 5, 5],
      ]);
    },
  );

  test('a table of key columns only is upserted', async () => {
    await using to = await writerTo(database, await table('a int, b text, PRIMARY KEY (b, a)'), 'upsert', ['b', 'a']);
    await database.client.query("INSERT INTO t VALUES (1, 'x')");
    const result = await to.writer.write(csvBatch(['a', 'b'], '1,x\n2,x\n2,x\n'), testContext());
    expect(result).toEqual({ written: 1, unchanged: 1, duplicate: 1, rejects: [] });
  });

  test('a null or missing key is a reject that names the column', async () => {
    await using to = await writerTo(database, await table('id int UNIQUE, note text'), 'upsert', ['id']);
    const csv = await to.writer.write(csvBatch(['id', 'note'], '1,a\n,b\n'), testContext());
    expect(csv).toMatchObject({ written: 1, rejects: [{ row: 1, code: '23502', column: 'id' }] });
    const decoded = await to.writer.write(
      decodedBatch(
        ['id', 'note'],
        [
          [undefined, 'a'],
          [null, 'b'],
          [2, 'c'],
        ],
      ),
      testContext(),
    );
    expect(decoded).toMatchObject({
      written: 1,
      rejects: [
        { row: 0, code: '23502' },
        { row: 1, code: '23502' },
      ],
    });
  });

  test('missing fields take the default on insert, and keep the value on upsert', async () => {
    await using to = await writerTo(database, await table("id int primary key, a text DEFAULT 'x', b text"), 'upsert', [
      'id',
    ]);
    await database.client.query("INSERT INTO t VALUES (1, 'kept', 'old')");
    const records = [
      [1, undefined, 'new'],
      [2, undefined, 'n'],
      [3, 'a', undefined],
      [4, null, null],
    ];
    expect(await to.writer.write(decodedBatch(['id', 'a', 'b'], records), testContext())).toMatchObject({ written: 4 });
    expect(await rowsOf('SELECT * FROM t ORDER BY id')).toEqual([
      [1, 'kept', 'new'],
      [2, 'x', 'n'],
      [3, 'a', null],
      [4, null, null],
    ]);
  });

  test('rows of one key with different fields are applied in their order', async () => {
    await using to = await writerTo(database, await table('id int primary key, a int, b int'), 'upsert', ['id']);
    const records = [
      [1, 1, 1],
      [1, undefined, 2],
      ['01', 3, undefined],
      [1, undefined, 4],
      [2, 5, undefined],
    ];
    const result = await to.writer.write(decodedBatch(['id', 'a', 'b'], records), testContext());
    expect(result.written + result.unchanged + result.duplicate).toBe(5);
    expect(await rowsOf('SELECT * FROM t ORDER BY id')).toEqual([
      [1, 3, 4],
      [2, 5, null],
    ]);
  });

  test('a record without any of the columns is a reject', async () => {
    await using to = await writerTo(database, await table('a int, b int'), 'append');
    const result = await to.writer.write(
      decodedBatch(
        ['a', 'b'],
        [
          [undefined, undefined],
          [1, undefined],
        ],
      ),
      testContext(),
    );
    expect(result).toMatchObject({ written: 1, rejects: [{ row: 0, code: 'empty-record' }] });
  });

  test.each([['\n'], ['\r\n'], ['\r']] as const)('CSV with line end %j and other signs keeps to them', async (eol) => {
    await using to = await writerTo(database, await table('id int, note text'), 'append');
    const lines = ["1\t'a b'", "2\t'it''s\\'", `3\t'x\n\r\ny'`, '4\t\\N', "5\t'\\N'"];
    const options = { delimiter: '\t', quote: "'", null: '\\N', eol, pieceRows: 2 };
    const result = await to.writer.write(csvBatch(['id', 'note'], lines.join(eol), options), testContext());
    expect(result).toMatchObject({ written: 5, rejects: [] });
    const notes = ['a b', "it's\\", 'x\n\r\ny', null, '\\N'];
    expect(await rowsOf('SELECT note FROM t ORDER BY id')).toEqual(notes.map((note) => [note]));
  });

  test.each([['\n'], ['\r\n'], ['\r']] as const)('the row at fault is found among quoted line ends %j', async (eol) => {
    await using to = await writerTo(database, await table('id int UNIQUE, note text'), 'append');
    await database.client.query("INSERT INTO t VALUES (7, 'there')");
    const rows = Array.from({ length: 9 }, (_, i) => `${i},"a${eol}b\n\rc${i % 2 ? eol : ''}"${eol}`).join('');
    const batch = csvBatch(['id', 'note'], rows, { eol, pieceRows: 4, duplicates: [2] });
    const error = await to.writer.write(batch, testContext()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'NotWritten', code: '23505', row: 7, refusal: { code: '23505' } });
    expect(error).toMatchObject({ refusal: { reason: expect.stringContaining('(id)=(7)') } });
    const rest = await to.writer.write(batch.refuse(new Map([[7, { code: '23505', reason: 'there' }]])), testContext());
    expect(rest).toMatchObject({ written: 7, duplicate: 1, rejects: [{ row: 7, code: '23505' }] });
  });

  test('a line of backslash and dot, which ends COPY on older servers, is an ordinary value', async () => {
    await using to = await writerTo(database, await table('note text'), 'append');
    const result = await to.writer.write(csvBatch(['note'], 'a\n\\.\nb\n'), testContext());
    expect(result).toMatchObject({ written: 3, rejects: [] });
    expect(await rowsOf('SELECT note FROM t')).toEqual([['a'], ['\\.'], ['b']]);
  });

  test('1 % of bad rows, of every kind, become rejects and the rest arrives', async () => {
    const columns = ['id', 'amount', 'at', 'kind', 'small'];
    await database.client.query(
      "DROP TABLE IF EXISTS t; DROP TYPE IF EXISTS kind; CREATE TYPE kind AS ENUM ('a', 'b'); DROP DOMAIN IF EXISTS small; CREATE DOMAIN small AS int CHECK (VALUE < 10)",
    );
    await using to = await writerTo(
      database,
      await table('id int NOT NULL, amount numeric(5,2), at timestamptz, kind kind, small small'),
      'append',
    );
    const bad: Record<number, [string, string, string]> = {
      5: ['5,12345.6,2024-01-01,a,1', '22003', 'amount'],
      10: ['10,1.5,2024-02-30,a,1', '22008', 'at'],
      105: ['105,1.5,2024-01-01,c,1', '22P02', 'kind'],
      200: ['200,1.5,2024-01-01,a,10', '23514', 'small'],
      305: ['3000000000,1.5,2024-01-01,a,1', '22003', 'id'],
      405: [',1.5,2024-01-01,a,1', '23502', 'id'],
    };
    const lines = Array.from(
      { length: 600 },
      (_, i) => bad[i]?.[0] ?? `${i},${i}.25,2024-01-01 10:00:00+02,${i % 2 ? 'a' : 'b'},${i % 10}`,
    );
    lines[500] = '500,1';
    const result = await to.writer.write(csvBatch(columns, `${lines.join('\n')}\n`), testContext());
    expect(result.rejects.map(({ row, code, column }) => [row, code, column])).toEqual([
      ...Object.entries(bad).map(([row, [, code, column]]) => [Number(row), code, column]),
      [500, 'malformed-csv', undefined],
    ]);
    expect(result.written).toBe(593);
    expect(await rowsOf('SELECT count(*)::int FROM t')).toEqual([[593]]);
  });

  test.each([
    ['a foreign key', 'id int REFERENCES parent', '23503', undefined],
    ['a check', 'id int CHECK (id <> 3)', '23514', 2],
  ])('%s fails the batch, with a row where COPY names one', async (_, column, code, row) => {
    await database.client.query(
      'DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS parent; CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2)',
    );
    await using to = await writerTo(database, await table(column), 'append');
    const error = await to.writer
      .write(csvBatch(['id'], '1\n2\n3\n'), testContext())
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'NotWritten', code, row, refusal: { code } });
    expect(await rowsOf('SELECT count(*)::int FROM t')).toEqual([[0]]);
  });

  test('a batch without a row left records its rejects and settles its spans', async () => {
    await using to = await writerTo(database, await table('id int'), 'append');
    const batch = csvBatch(['id'], '1\n2\n', { duplicates: [1] }).refuse(new Map([[0, { code: 'x', reason: 'y' }]]));
    const result = await to.writer.write(batch, testContext());
    expect(result).toEqual({
      written: 0,
      unchanged: 0,
      duplicate: 1,
      rejects: [{ split: 'test', row: 0, record: '1\n', code: 'x', reason: 'y' }],
    });
    expect(
      await rowsOf('SELECT (SELECT count(*)::int FROM ledger.spans), (SELECT count(*)::int FROM ledger.rejects)'),
    ).toEqual([[1, 1]]);
  });

  test.each(['append', 'upsert', 'ignore'] as const)(
    'a trigger that leaves rows out is told in mode %s',
    async (mode) => {
      await using to = await writerTo(database, await table('id int primary key'), mode, ['id']);
      await database.client.query(`CREATE OR REPLACE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER d BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION drop_it()`);
      const error = await to.writer.write(csvBatch(['id'], '1\n'), testContext()).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: 'NotWritten', code: 'rows-unaccounted' });
      expect(await rowsOf('SELECT count(*)::int FROM ledger.spans')).toEqual([[0]]);
    },
  );
});
