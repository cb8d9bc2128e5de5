import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import type { TargetColumn } from './target.js';
import { surelyValid } from './valid.js';

const column = (type: string, baseType: string, typmod = -1, category = 'S'): TargetColumn => ({
  name: 'c',
  type,
  baseType,
  category,
  typmod,
  domain: false,
  notNull: false,
  hasDefault: false,
  identity: undefined,
  toldBy: 'image',
});

const digits = fc.stringMatching(/^-?\d{1,20}$/);
const decimal = fc.stringMatching(/^-?\d{0,6}(\.\d{0,4})?(e[+-]?\d{1,3})?$/);
const date = fc.stringMatching(
  /^\d{4}-[01]\d-[0-3]\d([ T][0-2]\d:[0-6]\d(:[0-6]\d(\.\d{1,7})?)?(Z|[+-][01]\d(:?\d\d)?)?)?$/,
);
const literal = fc.stringMatching(/^\{("([ab\\"]|\\")*"|[a1,NUL"{} ]){0,6}\}$/);

const cases: [TargetColumn, fc.Arbitrary<string>][] = [
  [column('smallint', 'int2'), digits],
  [column('integer', 'int4'), digits],
  [column('bigint', 'int8'), digits],
  [column('numeric', 'numeric'), decimal],
  [column('numeric(5,2)', 'numeric', ((5 << 16) | 2) + 4), decimal],
  [column('numeric(3,0)', 'numeric', (3 << 16) + 4), decimal],
  [column('real', 'float4'), decimal],
  [column('double precision', 'float8'), decimal],
  [column('boolean', 'bool'), fc.constantFrom('t', 'T', 'yes', 'no', 'off', 'of', 'o', '1', '2', '')],
  [column('character varying(3)', 'varchar', 7), fc.string({ unit: 'grapheme', maxLength: 5 })],
  [column('character(3)', 'bpchar', 7), fc.string({ unit: 'grapheme', maxLength: 5 })],
  [column('date', 'date'), date],
  [column('timestamp without time zone', 'timestamp'), date],
  [column('timestamp with time zone', 'timestamptz'), date],
  [column('uuid', 'uuid'), fc.oneof(fc.uuid(), fc.stringMatching(/^[\da-f-]{32,36}$/))],
  [column('jsonb', 'jsonb'), fc.oneof(fc.json(), fc.stringMatching(/^[[\]{}",:\\ue0d81.-]{0,12}$/))],
  [column('bytea', 'bytea'), fc.stringMatching(/^\\x[\da-g]{0,6}$/)],
  [column('text[]', '_text', -1, 'A'), literal],
  [column('integer[]', '_int4', -1, 'A'), literal],
  [column('integer[]', '_int4', -1, 'A'), fc.array(digits).map((items) => `{${items.join(',')}}`)],
];

describe.each(inject('postgresServers'))('$name', ({ url }) => {
  let database: ScratchDatabase;
  beforeAll(async () => {
    database = await scratchDatabase(url);
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
  });

  test.each(cases.map(([of, texts]) => [of.type, of, texts] as const))(
    'what is surely a %s is taken',
    async (_, of, texts) => {
      const check = surelyValid(of);
      const sure = fc.sample(texts, 1_000).filter((text) => !/[\0\p{Surrogate}]/u.test(text) && check(text));
      expect(sure.length).toBeGreaterThan(0);
      await database.client.query(`DROP TABLE IF EXISTS t; CREATE TABLE t (v ${of.type})`);
      const parameters = sure.map((_, i) => `($${i + 1})`).join(', ');
      const { rowCount } = await database.client.query(`INSERT INTO t VALUES ${parameters}`, sure);
      expect(rowCount).toBe(sure.length);
    },
  );
});

test('an unbounded numeric is sure unless it is enormous', () => {
  const sure = surelyValid(column('numeric', 'numeric'));
  expect(['0', '-12.50', '123456789012345678901234567890', `1${'0'.repeat(200)}.5`].map(sure)).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(['', '.', '1e5', '9'.repeat(200_000), `0.${'1'.repeat(20_000)}`].map(sure)).toEqual([
    false,
    false,
    false,
    false,
    false,
  ]);
});
