import { describe, expect, test } from 'vitest';
import type { Cell, CsvLayout, Row } from '../contract/index.js';
import { JsonText, parseJson } from '../formats/json.js';
import { type Columns, columnNames, compileKey, compileMapper } from './mapping.js';

const layout = (...fields: string[]): CsvLayout => ({ fields, delimiter: ',', quote: '"', null: '', eol: '\n' });

function cells(columns: Columns | undefined, accepted: string[], record: Row, ignoreExtra = false): Cell[] | string {
  const into: Cell[] = [];
  const refusal = compileMapper(columns, accepted, ignoreExtra).ofRecord(record, into);
  return refusal ? refusal.code : into;
}

describe('records without a mapping', () => {
  test('fill the columns of the same name, and miss the others', () => {
    expect(cells(undefined, ['b', 'a', 'c'], { a: 1, b: null })).toEqual([null, 1, undefined]);
  });

  test('are refused for a field that no column takes, unless extra fields are to be ignored', () => {
    expect(cells(undefined, ['a'], { a: 1, b: 2 })).toBe('unknown-field');
    expect(cells(undefined, ['a'], { a: 1, b: 2 }, true)).toEqual([1]);
  });

  test('may hold a field that is undefined, which counts as missing', () => {
    expect(cells(undefined, ['a', 'b'], { a: 1, b: undefined })).toEqual([1, undefined]);
  });

  test('do not take what every object inherits for a field', () => {
    expect(cells(undefined, ['toString', '__proto__'], {})).toEqual([undefined, undefined]);
    const own = parseJson('{"__proto__": 1, "toString": "x"}') as Row;
    expect(cells(undefined, ['toString', '__proto__'], own)).toEqual(['x', 1]);
  });
});

describe('a mapping', () => {
  test('renames, picks, reaches into nested values, sets constants and defaults, and casts', () => {
    const columns: Columns = {
      id: 'cityId',
      lon: 'loc.coordinates[0]',
      source: { value: 'geonames' },
      country: { from: 'cc', default: '??' },
      population: { default: 0 },
      loc: { cast: 'text' },
      raw: { from: 'loc', cast: 'json' },
      size: { from: 'n', cast: 'text' },
    };
    const record = parseJson('{"cityId":7,"loc":{"coordinates":[1.5,2]},"cc":null,"n":1.10,"unused":true}') as Row;
    expect(cells(columns, Object.keys(columns), record)).toEqual([
      7,
      1.5,
      'geonames',
      '??',
      0,
      '{"coordinates":[1.5,2]}',
      new JsonText('{"coordinates":[1.5,2]}'),
      '1.10',
    ]);
  });

  test('names the fields of a file that lacks one, and what to do', () => {
    const mapper = compileMapper({ id: 'nr' }, ['id'], false);
    expect(() => mapper.ofLayout(layout('id', 'name'))).toThrow(
      /"nr", but the file's fields are id, name\. Name one of these as column=field \(--columns\)/,
    );
  });

  test('may be a function, whose failure refuses the record only', () => {
    const columns = (record: Row): Row => {
      if (record.a === undefined) throw new Error('no a');
      return { b: record.a };
    };
    expect(cells(columns, ['b'], { a: 1 })).toEqual([1]);
    expect(cells(columns, ['b'], {})).toBe('mapping-failed');
  });

  test('of CSV that takes every field once is put in file order, so that bytes can be passed on', () => {
    const columns: Columns = { name: 'NAME', id: 'ID' };
    const file = layout('ID', 'NAME');
    const names = columnNames(columns, [file], []);
    expect(names).toEqual(['id', 'name']);
    expect(compileMapper(columns, names, false).ofLayout(file).direct).toBe(true);
    expect(compileMapper(columns, names, false).ofLayout(layout('NAME', 'ID')).direct).toBe(false);
  });

  test('of CSV gives text, and constants and defaults as they are', () => {
    const columns: Columns = {
      id: 'id',
      n: { value: 5 },
      tags: { value: ['a'] },
      x: { default: 'none' },
      y: { default: [1] },
      j: { from: 'id', cast: 'json' },
    };
    const mapper = compileMapper(columns, Object.keys(columns), false).ofLayout(layout('id', 'x'));
    const into: Cell[] = [];
    mapper.cells(['1', null], into);
    expect(mapper.direct).toBe(false);
    expect(into).toEqual(['1', 5, ['a'], 'none', [1], '"1"']);
  });

  test('that names a field the file does not have is an error that names both', () => {
    const columns: Columns = { id: 'idd' };
    expect(() => compileMapper(columns, ['id'], false).ofLayout(layout('id'))).toThrow(/"id".*"idd"/);
    expect(() => compileMapper({ id: '["i,d"]' }, ['id'], false).ofLayout(layout('id'))).toThrow(/"id".*i,d/);
  });

  test('a field of a file is found by its plain name, or by a path of one step', () => {
    const columns = { a: 'x.y', b: '["odd, name"]', c: '["id"]' };
    const mapper = compileMapper(columns, ['a', 'b', 'c'], false).ofLayout(layout('id', 'odd, name', 'x.y'));
    const into: unknown[] = [];
    mapper.cells(['1', '2', '3'], into);
    expect(into).toEqual(['3', '2', '1']);
  });

  test('does not hide a file with more fields than were planned for', () => {
    expect(() => compileMapper(undefined, ['a'], false).ofLayout(layout('a', 'b'))).toThrow(/b/);
    expect(compileMapper(undefined, ['a'], true).ofLayout(layout('a', 'b')).direct).toBe(false);
  });
});

describe('columnNames', () => {
  test('without a mapping are all fields seen, in order of appearance', () => {
    expect(columnNames(undefined, [], [{ a: 1 }, { b: 1, a: 2 }])).toEqual(['a', 'b']);
    expect(columnNames(undefined, [layout('x', 'y'), layout('y', 'z')], [])).toEqual(['x', 'y', 'z']);
  });
});

describe('compileKey', () => {
  test('tells records apart by the columns of the key, read as the mapping reads them', () => {
    const key = compileKey({ id: 'meta.id', c: 'c' }, ['id', 'c']);
    expect(key({ meta: { id: 1 }, c: 'x' })).toBe(key({ meta: { id: 1 }, c: 'x', d: 2 }));
    expect(key({ meta: { id: 1 }, c: 'x' })).not.toBe(key({ meta: { id: 1 }, c: 'y' }));
    expect(key({ c: 'x' })).toBeUndefined();
  });

  test('knows no key of a record that the mapping function fails on', () => {
    const key = compileKey((record) => ({ id: (record.n as Row).x }), ['id']);
    expect(key({ n: { x: 1 } })).toBeDefined();
    expect(key({})).toBeUndefined();
    expect(compileKey(() => undefined as never, ['id'])({ id: 1 })).toBeUndefined();
  });

  test('reads odd names as they are', () => {
    expect(compileKey(undefined, ['a.b'])({ 'a.b': 1 })).toBeDefined();
  });
});
