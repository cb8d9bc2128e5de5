import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import { csvBatch, decodedBatch } from '../../../test/sinks/postgres/batches.js';
import { testContext, writerTo } from '../../../test/sinks/postgres/writing.js';
import { LosslessNumber } from '../../formats/json.js';

/** Type, JavaScript value, the same as CSV field, and the text it must be in the database. */
const cases: [type: string, value: unknown, field: string, text: string | null][] = [
  ['int2', -32768, '-32768', '-32768'],
  ['int8', 9223372036854775807n, '9223372036854775807', '9223372036854775807'],
  ['int8', new LosslessNumber('9007199254740993'), '9007199254740993', '9007199254740993'],
  ['int4', new LosslessNumber('1.0'), '1', '1'],
  ['int4', new LosslessNumber('1e3'), '1000', '1000'],
  ['int8', new LosslessNumber('-12.50E1'), '-125', '-125'],
  ['int2', new LosslessNumber('100e-2'), '1', '1'],
  ['int2', new LosslessNumber('0e-5'), '0', '0'],
  ['int2', new LosslessNumber('-0'), '0', '0'],
  ['int4[]', [new LosslessNumber('2.00')], '{2}', '{2}'],
  ['int8', '9007199254740993', '9007199254740993', '9007199254740993'],
  ['numeric', new LosslessNumber('1.10'), '1.10', '1.10'],
  ['numeric', '1e400', '1e400', `1${'0'.repeat(400)}`],
  ['numeric', Number.NaN, 'NaN', 'NaN'],
  ['numeric(10,2)', 0.1, '0.1', '0.10'],
  ['float8', -0, '-0', '-0'],
  ['float8', 5e-324, '5e-324', '5e-324'],
  ['float8', Number.NEGATIVE_INFINITY, '-Infinity', '-Infinity'],
  ['bool', true, 'yes', 'true'],
  ['bool', false, 'f', 'false'],
  ['text', true, 'true', 'true'],
  ['text', '', '""', ''],
  ['text', null, '', null],
  ['text', '\\N', '\\N', '\\N'],
  ['text', '\\.', '"\\."', '\\.'],
  ['text', 'tab\t cr\r lf\n "quote" \\ back', '"tab\t cr\r lf\n ""quote"" \\ back"', 'tab\t cr\r lf\n "quote" \\ back'],
  ['text', '😀é\u2028', '😀é\u2028', '😀é\u2028'],
  ['varchar(3)', '😀😀😀', '😀😀😀', '😀😀😀'],
  ['char(4)', 'ab', 'ab', 'ab  '],
  [
    'uuid',
    'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
    'A0EEBC999C0B4EF8BB6D6BB9BD380A11',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  ],
  ['bytea', Buffer.from([0, 255, 92]), '\\x00ff5c', '\\x00ff5c'],
  ['bytea', new Uint8Array([1, 2]).subarray(1), '\\x02', '\\x02'],
  ['date', '2024-02-29', '2024-02-29', '2024-02-29'],
  ['timestamp', '2024-02-29 12:34:56.789012', '2024-02-29T12:34:56.789012', '2024-02-29 12:34:56.789012'],
  ['timestamptz', new Date('2024-02-29T12:34:56.789Z'), '2024-02-29 14:34:56.789+02', '2024-02-29 12:34:56.789+00'],
  ['timestamptz', new Date(Date.UTC(12024, 0, 2)), '12024-01-02 00:00:00+00', '12024-01-02 00:00:00+00'],
  ['timestamptz', new Date('-000043-03-15T00:00:00.000Z'), '0044-03-15 00:00:00+00 BC', '0044-03-15 00:00:00+00 BC'],
  ['timestamptz', new Date('0000-12-31T00:00:00.000Z'), '0001-12-31 00:00:00+00 BC', '0001-12-31 00:00:00+00 BC'],
  ['timestamp', new Date('2024-02-29T23:00:00Z'), '2024-02-29 23:00', '2024-02-29 23:00:00'],
  ['date', new Date('2024-02-29T23:00:00Z'), '2024-02-29', '2024-02-29'],
  ['interval', '1 mon -2 days', '1 mon -2 days', '1 mon -2 days'],
  [
    'json',
    { a: [1, new LosslessNumber('1.10')], b: 'ä"\n' },
    '"{""a"":[1,1.10],""b"":""ä\\""\\n""}"',
    '{"a":[1,1.10],"b":"ä\\"\\n"}',
  ],
  ['jsonb', [null, 9007199254740993n], '"[null, 9007199254740993]"', '[null, 9007199254740993]'],
  ['jsonb', 'text', '"""text"""', '"text"'],
  [
    'jsonb',
    { a: new URL('http://a/'), b: Object.create(null), c: {} },
    '"{""a"":""http://a/"",""b"":{},""c"":{}}"',
    '{"a": "http://a/", "b": {}, "c": {}}',
  ],
  ['jsonb', 1.5, '1.5', '1.5'],
  ['jsonb', true, 'true', 'true'],
  ['json', new Date(0), '"""1970-01-01T00:00:00.000Z"""', '"1970-01-01T00:00:00.000Z"'],
  [
    'text[]',
    ['a', 'b,c', '"d\\', 'null', null, '', '😀'],
    '"{a,""b,c"",""\\""d\\\\"",""null"",NULL,"""",😀}"',
    '{a,"b,c","\\"d\\\\","null",NULL,"",😀}',
  ],
  ['text[]', [], '{}', '{}'],
  [
    'int[]',
    [
      [1, 2],
      [3, null],
    ],
    '"{{1,2},{3,NULL}}"',
    '{{1,2},{3,NULL}}',
  ],
  ['int8[]', [9007199254740993n, new LosslessNumber('2')], '"{9007199254740993,2}"', '{9007199254740993,2}'],
  ['bool[]', [true, false], '"{t,f}"', '{t,f}'],
  ['bytea[]', [Buffer.from([0, 34])], '"{""\\\\x0022""}"', '{"\\\\x0022"}'],
  [
    'jsonb[]',
    [{ a: 1 }, [1, 2], 'x', null],
    '"{""{\\""a\\"": 1}"",""[1, 2]"",""\\""x\\"""",NULL}"',
    '{"{\\"a\\": 1}","[1, 2]","\\"x\\"",NULL}',
  ],
  ['timestamptz[]', [new Date(0)], '"{""1970-01-01 00:00:00+00""}"', '{"1970-01-01 00:00:00+00"}'],
  ['box[]', ['(1,1),(0,0)'], '"{(1,1),(0,0)}"', '{(1,1),(0,0)}'],
  ['point', '(1,2)', '"(1,2)"', '(1,2)'],
  ['xml', '<a b="c"/>', '"<a b=""c""/>"', '<a b="c"/>'],
  ['mood', 'it is "ok"', '"it is ""ok"""', 'it is "ok"'],
  ['mood[]', ['sad', 'it is "ok"'], '"{sad,""it is \\""ok\\""""}"', '{sad,"it is \\"ok\\""}'],
  ['posint', 7, '7', '7'],
  ['int4range', '[1,5)', '"[1,5)"', '[1,5)'],
];

describe.each(inject('postgresServers'))('$name', ({ url }) => {
  let database: ScratchDatabase;
  beforeAll(async () => {
    database = await scratchDatabase(url);
    await database.client.query(`CREATE TYPE mood AS ENUM ('sad', 'it is "ok"'); CREATE DOMAIN posint AS int CHECK (VALUE > 0);
      CREATE COLLATION ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      SET timezone = 'UTC'; ALTER DATABASE ${new URL(database.url).pathname.slice(1)} SET timezone = 'UTC';
      CREATE SCHEMA "My Schema"`);
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
  });
  const name = '"My Schema"."T ""x"""';
  const columns = ['id', ...cases.map((_, i) => `a "b" ${i}`)];
  const quoted = columns.slice(1).map((column) => `"${column.replaceAll('"', '""')}"`);
  const expected = cases.map(([, , , text]) => text);

  async function create(): Promise<void> {
    const list = cases.map(([type], i) => `${quoted[i]} ${type}`);
    await database.client.query(`DROP TABLE IF EXISTS ${name};
      CREATE TABLE ${name} (id int PRIMARY KEY, ${list.join(', ')}, made text GENERATED ALWAYS AS ('g' || id) STORED)`);
  }
  async function arrived(): Promise<unknown[][]> {
    const casts = quoted.map((column) => `${column}::text`);
    const text = `SELECT ${casts.map((c, i) => (cases[i]![0] === 'char(4)' ? `rpad(${c}, 4)` : c)).join(', ')} FROM ${name} ORDER BY id`;
    return (await database.client.query({ text, rowMode: 'array' })).rows;
  }
  const values = cases.map(([, value]) => value);
  const line = cases.map(([, , field]) => field).join(',');

  test.each(['append', 'upsert', 'ignore'] as const)(
    'every type arrives exactly in mode %s, from CSV bytes, parsed CSV and values',
    async (mode) => {
      await create();
      await using to = await writerTo(database, name, mode, mode === 'append' ? [] : ['id']);
      const bytes = csvBatch(columns, `1,${line}\n`);
      const { csv: _, ...parsed } = csvBatch(columns, `2,${line}\n`);
      for (const batch of [bytes, parsed, decodedBatch(columns, [[3, ...values]])])
        expect(await to.writer.write(batch, testContext())).toMatchObject({ written: 1, rejects: [] });
      expect(await arrived()).toEqual([expected, expected, expected]);
    },
  );

  test('rows of every type that are there already are unchanged', async () => {
    await create();
    await using to = await writerTo(database, name, 'upsert', ['id']);
    const write = () =>
      to.writer.write(
        decodedBatch(columns, [
          [1, ...values],
          [2, ...values.map(() => null)],
        ]),
        testContext(),
      );
    expect(await write()).toMatchObject({ written: 2, unchanged: 0 });
    const before = await database.client.query(`SELECT ctid, xmin FROM ${name} ORDER BY id`);
    expect(await write()).toMatchObject({ written: 0, unchanged: 2 });
    expect((await database.client.query(`SELECT ctid, xmin FROM ${name} ORDER BY id`)).rows).toEqual(before.rows);
  });

  test.each([
    ['json', '{"a":1}', '{"a": 1}'],
    ['box', '(2,2),(0,0)', '(4,1),(0,0)'],
    ['interval', '1 mon', '30 days'],
    ['text', 'a', 'A'],
    ['text[]', ['a'], ['A']],
    ['text', null, ''],
    ['text COLLATE ignoring_case', 'a', 'A'],
    ['text[] COLLATE ignoring_case', ['a'], ['A']],
    ['numeric', '1.1', '1.10'],
    ['numeric', '1', 'NaN'],
    ['numeric(6,2)', '1.10', '1.11'],
    ['numeric[]', '{1.1}', '{1.10}'],
    ['int[]', '{1,2}', '[0:1]={1,2}'],
    ['int[]', '{1,2}', '{{1,2}}'],
    ['float8', '0', '-0'],
    ['timestamptz', '2026-01-01 00:00+00', '2026-01-01 00:00:00.000001+00'],
    ['timetz', '00:00+00', '01:00+01'],
    ['bpchar', 'a', 'a '],
    ['mood', 'sad', 'it is "ok"'],
    ['posint', 1, 2],
  ])('a changed %s is written', async (type, before, after) => {
    await database.client.query(`DROP TABLE IF EXISTS ${name};
      CREATE TABLE ${name} (id int PRIMARY KEY, v ${type})`);
    await using to = await writerTo(database, name, 'upsert', ['id']);
    const cell = (value: unknown) =>
      decodedBatch(['id', 'v'], [[1, type === 'json' ? JSON.parse(String(value)) : value]], {});
    const first = type === 'json' ? decodedBatch(['id', 'v'], [['1', before]], { textual: true }) : cell(before);
    const second = type === 'json' ? decodedBatch(['id', 'v'], [['1', after]], { textual: true }) : cell(after);
    await to.writer.write(first, testContext());
    expect(await to.writer.write(second, testContext())).toMatchObject({ written: 1, unchanged: 0 });
  });

  test.each(['append', 'upsert'] as const)('identity columns take the values given, in mode %s', async (mode) => {
    await database.client.query(`DROP TABLE IF EXISTS ${name};
      CREATE TABLE ${name} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text DEFAULT 'd')`);
    await using to = await writerTo(database, name, mode, mode === 'append' ? [] : ['id']);
    await to.writer.write(
      decodedBatch(
        ['id', 'v'],
        [
          [41, 'x'],
          [42, undefined],
        ],
      ),
      testContext(),
    );
    const { rows } = await database.client.query(`SELECT * FROM ${name} ORDER BY id`);
    expect(rows).toEqual([
      { id: 41, v: 'x' },
      { id: 42, v: 'd' },
    ]);
  });

  test('a number that is no integer, or too large a one, is refused by an integer column', async () => {
    await database.client.query(`DROP TABLE IF EXISTS ${name}; CREATE TABLE ${name} (n int8)`);
    await using to = await writerTo(database, name, 'append');
    const rows = ['1.5', '1e30', '1.0e0'].map((digits) => [new LosslessNumber(digits)]);
    const { written, rejects } = await to.writer.write(decodedBatch(['n'], rows), testContext());
    expect([written, rejects.map(({ code }) => code)]).toEqual([1, ['22P02', '22003']]);
  });

  test('an object for an array is refused with advice that helps', async () => {
    await database.client.query(`DROP TABLE IF EXISTS ${name}; CREATE TABLE ${name} (tags text[])`);
    await using to = await writerTo(database, name, 'append');
    const { rejects } = await to.writer.write(decodedBatch(['tags'], [[{ a: 1 }]]), testContext());
    expect(rejects[0]).toMatchObject({
      code: 'nested-value',
      reason: 'an object can\'t be written to column "tags" of type text[]: give an array, or pick one in it by a path',
    });
  });

  const nested = ['nested-value', 'a "b"'];
  test.each<[string, unknown, string[]]>([
    ['text', { a: 1 }, nested],
    ['text', [1], nested],
    ['int[]', [{ a: 1 }], nested],
    ['text', Buffer.from('x'), ['bytes-for-text', 'a "b"']],
    ['timestamptz', new Date(Number.NaN), ['invalid-date', 'a "b"']],
    ['text', () => 1, ['unsupported-value', 'a "b"']],
    ['jsonb', Symbol('s'), ['unsupported-value', 'a "b"']],
    ['jsonb', new Map([['a', 1]]), ['unsupported-value', 'a "b"']],
    ['json', { a: [new Set([1])] }, ['unsupported-value', 'a "b"']],
    ['json', new Float64Array([1, 2]), ['unsupported-value', 'a "b"']],
    ['jsonb', new Error('gone'), ['unsupported-value', 'a "b"']],
    ['json[]', [new Map()], ['unsupported-value', 'a "b"']],
    ['text', 'a\0b', ['22021', 'a "b"']],
    ['text', 'a\ud800b', ['22021', 'a "b"']],
    ['text[]', ['\udc00'], ['22021', 'a "b"']],
  ])('%s refuses %o', async (type, value, [code, column]) => {
    await database.client.query(`DROP TABLE IF EXISTS ${name};
      CREATE TABLE ${name} (id int, "a ""b""" ${type})`);
    await using to = await writerTo(database, name, 'append');
    const result = await to.writer.write(
      decodedBatch(
        ['id', 'a "b"'],
        [
          [1, value],
          [2, null],
        ],
      ),
      testContext(),
    );
    expect(result).toMatchObject({ written: 1, rejects: [{ row: 0, code, column }] });
    expect(result.rejects[0]?.reason).toContain('a "b"');
  });
});
