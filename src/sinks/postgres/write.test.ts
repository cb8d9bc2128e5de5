import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import { csvBatch, decodedBatch } from '../../../test/sinks/postgres/batches.js';
import { testContext, writerTo } from '../../../test/sinks/postgres/writing.js';

describe.each(inject('postgresServers'))('$name', ({ url }) => {
  let database: ScratchDatabase;
  beforeAll(async () => {
    database = await scratchDatabase(url);
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
  });
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
});
