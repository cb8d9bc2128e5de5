import { describe, expect, test } from 'vitest';
import { jobFromFlags, type LoadFlags, override } from './flags.js';

const sink = 'postgres://u:p@127.0.0.1:5432/db';

async function complaint(source: string, target: string, flags: LoadFlags): Promise<string[]> {
  const error: unknown = await jobFromFlags(source, target, flags).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'bad-job' });
  return error instanceof Error ? error.message.split('\n') : [];
}

describe('jobFromFlags', () => {
  test('a file into a table', async () => {
    expect(await jobFromFlags('cities.csv', sink, { table: 'cities', create: true })).toEqual({
      source: { name: 'file', options: { path: 'cities.csv' } },
      sink: { name: 'postgres', options: { url: sink, table: 'cities', create: true } },
    });
  });

  test('standard input, with everything a file may need', async () => {
    const job = await jobFromFlags('-', 'postgresql://', {
      table: 'geo.cities',
      mode: 'upsert',
      key: 'id, country',
      columns: 'id,lon=loc.coordinates[0]',
      format: 'csv',
      delimiter: '\\t',
      quote: "'",
      null: 'NULL',
      header: false,
      fields: 'id, lon',
      workers: '2',
      batchSize: '500',
      limit: '10',
      maxErrors: '1%',
      ignoreExtra: true,
    });
    expect(job).toEqual({
      source: {
        name: 'file',
        options: {
          path: '-',
          format: 'csv',
          delimiter: '\t',
          quote: "'",
          null: 'NULL',
          header: false,
          fields: ['id', 'lon'],
        },
      },
      sink: {
        name: 'postgres',
        options: { url: 'postgresql://', table: 'geo.cities', mode: 'upsert', key: ['id', 'country'] },
      },
      columns: { id: 'id', lon: 'loc.coordinates[0]' },
      workers: 2,
      batchSize: 500,
      limit: 10,
      maxErrors: '1%',
      ignoreExtra: true,
    });
  });

  test('an API by pages', async () => {
    const job = await jobFromFlags('https://api.example/cities?x=1', sink, {
      table: 't',
      items: 'data.items',
      pagination: 'page',
      pageParam: '_page',
      sizeParam: '_limit',
      pageSize: '100',
      totalHeader: 'X-Total-Count',
      parallel: '8',
      httpHeader: ['Accept: application/json', 'X-Token:  a:b '],
    });
    expect(job.source).toEqual({
      name: 'http',
      options: {
        url: 'https://api.example/cities?x=1',
        items: 'data.items',
        pagination: {
          style: 'page',
          param: '_page',
          size: { param: '_limit', value: 100 },
          total: { header: 'X-Total-Count' },
        },
        parallel: 8,
        headers: { Accept: 'application/json', 'X-Token': 'a:b ' },
      },
    });
  });

  test('an API that tells its total in the body', async () => {
    const job = await jobFromFlags('https://api.example/cities', sink, {
      table: 't',
      pagination: 'offset',
      totalPath: 'meta.total',
    });
    expect(job.source.options).toMatchObject({ pagination: { style: 'offset', total: { path: 'meta.total' } } });
  });

  test('a total is told once, and of pages', async () => {
    const pages = { table: 't', pagination: 'page' };
    const one = 'https://api.example/cities';
    const address = 'postgres://u@h/d';
    const twice = { ...pages, totalHeader: 'X-Total-Count', totalPath: 'meta.total' };
    expect(await complaint(one, address, twice)).toEqual([
      '--total-path: says what --total-header says: give one of the two',
    ]);
    expect(await complaint(one, address, { ...pages, pagination: 'none', totalHeader: 'X-Total-Count' })).toEqual([
      '--total-header: "total" has no meaning here; known here: style',
    ]);
  });

  test('says everything that is wrong at once, each by its flag', async () => {
    expect(
      await complaint('cities.csv', 'mysql://u:hunter2@host/db', {
        mode: 'merge',
        key: 'id',
        columns: 'a,a',
        workers: '0',
        batchSize: 'many',
        maxErrors: '200%',
        items: 'data',
      }),
    ).toEqual([
      'the command line has 8 mistakes:',
      '  SINK: expected an address such as postgres://user@host:5432/database, of which PGHOST and its like fill in what is left out, or aerospike://host:3000/namespace/set',
      '  --workers: expected a whole number, 1 or more',
      '  --batch-size: expected a whole number, 1 or more',
      '  --max-errors: expected a count such as 100, or a share of the rows read between 0% and 100%, such as 1%',
      '  --columns: column "a" is given twice',
      '  --table: is missing (table, or schema.table; quote odd names: "My Schema"."T")',
      '  --mode: expected append, upsert or ignore, found "merge"',
      '  --items: is for http sources, and SOURCE is not one',
    ]);
  });

  test('keyed sets into Aerospike', async () => {
    const url = 'aerospike://host:3000,host2:3000/test/users';
    const flags = { key: 'user_id', keyType: 'integer', bins: 'tags:json, age', mode: 'replace', ttl: '3600' };
    expect(await jobFromFlags('users.csv', url, { ...flags, ledger: false })).toEqual({
      source: { name: 'file', options: { path: 'users.csv' } },
      sink: {
        name: 'aerospike',
        options: {
          url,
          key: 'user_id',
          keyType: 'integer',
          bins: { tags: 'json', age: 'auto' },
          mode: 'replace',
          ttl: 3600,
        },
      },
      ledger: false,
    });
    const plain = await jobFromFlags('users.csv', url, { key: 'user_id', bins: 'tags,age', ttl: 'never' });
    expect(plain.sink.options).toEqual({ url, key: 'user_id', bins: ['tags', 'age'], ttl: 'never' });
  });

  test('a flag of another sink is refused', async () => {
    expect(await complaint('a.csv', 'aerospike://host/test/users', { key: 'id', table: 't', create: true })).toEqual([
      'the command line has 2 mistakes:',
      '  --table: is for postgres, and SINK is not one',
      '  --create: is for postgres, and SINK is not one',
    ]);
    expect(await complaint('a.csv', sink, { table: 't', bins: 'a:integerr', ttl: '5' })).toEqual([
      'the command line has 2 mistakes:',
      '  --bins: is for aerospike, and SINK is not one',
      '  --ttl: is for aerospike, and SINK is not one',
    ]);
    expect(
      await complaint('a.csv', 'aerospike://host/test/users', { key: 'id', bins: 'a:integerr', mode: 'upsert' }),
    ).toEqual([
      'the command line has 2 mistakes:',
      '  --mode: expected update, replace, create-only or update-only, found "upsert"',
      expect.stringContaining('--bins: expected auto, integer'),
    ]);
  });

  test('a flag for files is refused with an API', async () => {
    expect(await complaint('http://127.0.0.1/', sink, { table: 't', format: 'csv' })).toEqual([
      '--format: is for files, and SOURCE is not one',
    ]);
  });

  test('a flag that the style of pagination has no use for is told so, and so is a style that is missing', async () => {
    expect(await complaint('http://127.0.0.1/', sink, { table: 't', pagination: 'link', pageParam: 'x' })).toEqual([
      '--page-param: "param" has no meaning here; known here: style, in, size, total',
    ]);
    expect(await complaint('http://127.0.0.1/', sink, { table: 't', pageParam: 'x' })).toEqual([
      '--pagination: is missing (none, page, offset, cursor, link or next)',
    ]);
  });

  test('an empty sink names what is likely', async () => {
    expect((await complaint('a.csv', '', { table: 't' }))[0]).toMatch(/^SINK: is empty; is the variable/);
  });

  test('a header that is none is refused without showing it', async () => {
    const lines = await complaint('http://127.0.0.1/', sink, { table: 't', httpHeader: ['A: 1', 'hunter2'] });
    expect(lines).toEqual(["--header: expected 'Name: value' (header 2 of 2)"]);
  });
});

describe('override', () => {
  const job = {
    source: { name: 'file', options: {} },
    sink: { name: 'postgres', options: {} },
    workers: 2,
    limit: 5,
  };

  test('flags beat the file, and leave the rest', () => {
    expect(override(job, { workers: '4', maxErrors: '0' })).toEqual({ ...job, workers: 4, maxErrors: 0 });
    expect(override(job, {})).toEqual(job);
  });

  test('says what is wrong with the flags', () => {
    expect(() => override(job, { workers: 'x', limit: '-1' })).toThrow(
      '--workers: expected a whole number, 1 or more\n--limit: expected a whole number, 1 or more',
    );
  });
});
