import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import { csvBatch, decodedBatch } from '../../../test/sinks/postgres/batches.js';
import { testContext, writerTo } from '../../../test/sinks/postgres/writing.js';

describe.each(inject('postgresServers'))('$name', ({ url }) => {
  let database: ScratchDatabase;
  beforeAll(async () => {
    database = await scratchDatabase(url);
    await database.client.query(`CREATE DOMAIN always AS text NOT NULL;
      CREATE DOMAIN small AS int CHECK (VALUE < 10);
      CREATE TYPE mood AS ENUM ('fine', 'it''s "odd"');
      CREATE TYPE pair AS (a int, b mood)`);
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
  });

  test('a column of a domain that is NOT NULL does not condemn the others', async () => {
    await database.client.query('CREATE TABLE firm (id int, k always, m macaddr)');
    await using to = await writerTo(database, 'firm', 'append');
    const rows = Array.from({ length: 20 }, (_, i) => [i === 3 ? 'x' : i, `v${i}`, `08:00:2b:01:02:${10 + i}`]);
    const result = await to.writer.write(decodedBatch(['id', 'k', 'm'], rows), testContext());
    expect(result).toMatchObject({ written: 19, rejects: [{ row: 3, code: '22P02', column: 'id' }] });
  });

  test.each([
    ['inet', '10.0.0.1', '10.0.0.256', '22P02'],
    ['varchar(3)[]', '{abc,d}', '{abcd}', '22001'],
    ['varchar(3)', 'abc', 'abcd', '22001'],
    ['bit(3)', '101', '1010', '22026'],
    ['numeric(3,1)[]', '{12.25}', '{1,123.4}', '22003'],
    ['small', '9', '10', '23514'],
    ['small[]', '{9}', '{9,10}', '23514'],
    ['mood', 'it\'s "odd"', 'odd', '22P02'],
    ['mood[]', '{fine}', '{bad}', '22P02'],
    ['pair', '(1,fine)', '(1,bad)', '22P02'],
    ['int4range', '[1,2)', '[2,1)', '22000'],
    ['interval(0)', '1 day 2.6 s', '1 dog', '22007'],
    ['xml', '<a/>', '<a', '2200N'],
  ])('a value that is no %s is told from one that is', async (type, good, bad, code) => {
    await database.client.query(`DROP TABLE IF EXISTS t; CREATE TABLE t (id int, value ${type})`);
    await using to = await writerTo(database, 't', 'append');
    const rows = [
      [1, good],
      [2, bad],
      ['x', good],
      [4, null],
      [5, bad],
    ];
    const result = await to.writer.write(decodedBatch(['id', 'value'], rows), testContext());
    expect(result.rejects.map(({ row, code, column }) => [row, code, column])).toEqual([
      [1, code, 'value'],
      [2, '22P02', 'id'],
      [4, code, 'value'],
    ]);
    expect(result.written).toBe(2);
  });

  test('a hundred bad values among ten thousand are found in one question', async () => {
    await database.client.query('CREATE TABLE hosts (id int, ip inet)');
    await using to = await writerTo(database, 'hosts', 'append');
    const lines = (bad: number) =>
      Array.from({ length: 10_000 }, (_, i) => `${i},${i % bad === 0 ? 'x' : `10.0.${i >> 8}.${i & 255}`}\n`).join('');
    const lease = await to.pool.acquire(testContext().signal);
    let questions = 0;
    const { connection } = lease.client;
    const sync = connection.sync.bind(connection);
    connection.sync = () => {
      questions++;
      sync();
    };
    lease.release();
    const result = await to.writer.write(csvBatch(['id', 'ip'], lines(100)), testContext());
    expect([result.written, result.rejects.length]).toEqual([9_900, 100]);
    // The COPY and its ROLLBACK, the question, the COPY again, the settlement with COMMIT.
    expect(questions).toBe(5);
  });
});
