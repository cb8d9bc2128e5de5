import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import { scratchDatabase } from '../../../test/servers/database.js';
import type { Cell } from '../../contract/index.js';
import { parseJson } from '../../formats/json.js';
import { createTable, inferTypes } from './create.js';

function fromText(...cells: Cell[]): string | undefined {
  return inferTypes({ columns: ['c'], sample: cells.map((cell) => [cell]), textual: true })[0];
}

function fromValues(...cells: Cell[]): string | undefined {
  return inferTypes({ columns: ['c'], sample: cells.map((cell) => [cell]), textual: false })[0];
}

describe('the type of a text column', () => {
  test.each([
    ['bigint', ['1', '-5', null, '0', '9223372036854775807']],
    ['numeric', ['1', '9223372036854775808']],
    ['numeric', ['-9223372036854775809']],
    ['numeric', ['1', '2.50', '-0.0']],
    ['boolean', ['true', 'false', 'TRUE']],
    ['date', ['2024-02-29', '0001-01-01', '9999-12-31']],
    ['timestamp', ['2024-02-29T23:59:59', '2024-02-29 00:00', '2024-02-29 00:00:00.123456']],
    ['timestamptz', ['2024-02-29T23:59:59Z', '2024-02-29 00:00:00.5+02', '2024-02-29T00:00-0330']],
    ['uuid', ['123e4567-e89b-12d3-a456-426614174000', '123E4567-E89B-12D3-A456-426614174000']],
  ])('is %s for %j', (type, cells) => {
    expect(fromText(...cells)).toBe(type);
  });

  test.each([
    ['nothing seen', []],
    ['nulls only', [null, null]],
    ['empty strings', ['', '']],
    ['leading zeros', ['007', '12']],
    ['leading zeros before a point', ['00.5']],
    ['a plus sign', ['+491234']],
    ['a minus zero', ['-0']],
    ['exponents, for codes look like them', ['1E5', '2E7']],
    ['an open decimal point', ['1.', '.5']],
    ['spaces', [' 1']],
    ['t and f', ['t', 'f']],
    ['a mixture of numbers and words', ['1', 'one']],
    ['a mixture of dates and timestamps', ['2024-01-01', '2024-01-01T00:00']],
    ['a mixture with and without zone', ['2024-01-01T00:00', '2024-01-01T00:00Z']],
    ['a day that is none', ['2023-02-29']],
    ['a year that is none', ['0000-01-01']],
    ['an hour that is none', ['2024-01-01T25:00']],
    ['more digits of a second than PostgreSQL keeps', ['2024-01-01T00:00:00.1234567']],
    ['a uuid without its dashes', ['123e4567e89b12d3a456426614174000']],
  ])('is text for %s', (_why, cells) => {
    expect(fromText(...cells)).toBe('text');
  });
});

describe('the type of a column of decoded values', () => {
  test.each<[string, Cell[]]>([
    ['bigint', [1, -2, null, undefined, 3n]],
    ['bigint', [parseJson('9007199254740993')]],
    ['numeric', [1, 1.5]],
    ['numeric', [1, 2n ** 63n]],
    ['numeric', [1e21]],
    ['numeric', [1, parseJson('1.10')]],
    ['numeric', [parseJson('1e400')]],
    ['double precision', [1, Number.NaN]],
    ['boolean', [true, false]],
    ['timestamptz', [new Date(0)]],
    ['timestamptz', [new Date(0), '2024-01-01T00:00:00Z']],
    ['bytea', [new Uint8Array(1)]],
    ['jsonb', [{ a: 1 }, [1, 2]]],
    ['date', ['2024-01-01']],
    ['timestamp', ['2024-01-01T00:00:00']],
    ['uuid', ['123e4567-e89b-12d3-a456-426614174000']],
    ['text', ['1', '2']],
    ['text', ['true']],
    ['text', [1, '2']],
    ['text', [1, true]],
    ['text', [{ a: 1 }, 'x']],
    ['text', [null, undefined]],
    ['text', []],
  ])('is %s for %o', (type, cells) => {
    expect(fromValues(...cells)).toBe(type);
  });
});

describe.each(inject('postgresServers'))('on $name', ({ url }) => {
  test('text of an inferred type comes back as the very value, and in numbers digit for digit', async () => {
    await using db = await scratchDatabase(url);
    const text = fc.oneof(
      fc.bigInt().map(String),
      fc.tuple(fc.bigInt(), fc.nat({ max: 999 })).map(([whole, part]) => `${whole}.${part}`),
      fc.stringMatching(/^[-+]?[0-9.eE]{1,8}$/),
      fc.stringMatching(/^[0-9]{4}-[0-1][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,7})?)?)?$/),
      fc.uuid(),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 3 }), async (values) => {
        const type = fromText(...values)!;
        for (const value of values) {
          const { rows } = await db.client.query(`SELECT $1::text::${type}::text AS back`, [value]);
          if (type === 'timestamp') expect(rows[0].back.slice(0, 16)).toBe(value.replace('T', ' ').slice(0, 16));
          else expect(rows[0].back).toBe(value);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('the statement makes the table, with names as odd as they may be and the key as primary key', async () => {
    await using db = await scratchDatabase(url);
    const intake = {
      columns: ['id', 'Na"me', 'with space'],
      sample: [['1', 'x', '2024-01-01']],
      textual: true,
      ignoreExtra: false,
    };
    await db.client.query(createTable('"public"."my ""table"""', intake, ['id']));
    const { rows } = await db.client.query(
      `SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'my "table"' ORDER BY ordinal_position`,
    );
    expect(rows).toEqual([
      { column_name: 'id', data_type: 'bigint', is_nullable: 'NO' },
      { column_name: 'Na"me', data_type: 'text', is_nullable: 'YES' },
      { column_name: 'with space', data_type: 'date', is_nullable: 'YES' },
    ]);
  });
});

test('a key that the records lack, or a name too long for PostgreSQL, is refused by name', () => {
  const intake = { columns: ['id', 'ä'.repeat(32)], sample: [], textual: true, ignoreExtra: false };
  expect(() => createTable('t', intake, [])).toThrow(/ä{32}.*63 bytes/);
  const short = { ...intake, columns: ['id'] };
  expect(() => createTable('t', short, ['nr'])).toThrow(/"nr".*"id".*--key/);
});
