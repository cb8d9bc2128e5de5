import { describe, expect, test } from 'vitest';
import { parseColumns } from './columns.js';
import { isMaxErrors, parseMaxErrors } from './max-errors.js';

describe('parseColumns', () => {
  test.each([
    ['id', { id: 'id' }],
    ['id,name,lon=loc.coordinates[0]', { id: 'id', name: 'name', lon: 'loc.coordinates[0]' }],
    [' id , lat = loc.coordinates[1] ', { id: 'id', lat: 'loc.coordinates[1]' }],
    ['a=["odd,name"],b=["x=y"].z', { a: '["odd,name"]', b: '["x=y"].z' }],
    ['First Name', { 'First Name': 'First Name' }],
    ['whole=$', { whole: '$' }],
    ['whole=$::text', { whole: { from: '$', cast: 'text' } }],
    ['tags::json,n', { tags: { from: 'tags', cast: 'json' }, n: 'n' }],
    [
      'pop=population??0, land = country ?? "no, none"',
      {
        pop: { from: 'population', default: 0 },
        land: { from: 'country', default: 'no, none' },
      },
    ],
    ['pop??0', { pop: { from: 'pop', default: 0 } }],
    ['a=b.c::text??-', { a: { from: 'b.c', cast: 'text', default: '-' } }],
    [
      'origin:=api,n:=5,yes:=true,none:=null,empty:=""',
      {
        origin: { value: 'api' },
        n: { value: 5 },
        yes: { value: true },
        none: { value: null },
        empty: { value: '' },
      },
    ],
    [
      'price:=1.10,big:=9007199254740993,zip:=007,tags:=["a"]',
      {
        price: { value: '1.10' },
        big: { value: '9007199254740993' },
        zip: { value: '007' },
        tags: { value: ['a'] },
      },
    ],
    ['a=["x::text??1"]', { a: '["x::text??1"]' }],
  ])('%s', (text, expected) => {
    expect(parseColumns(text)).toEqual(expected);
  });

  test.each([
    ['', /not a column/],
    ['id,', /not a column/],
    ['id,=x', /not a column/],
    ['id=', /not a column/],
    ['id,id=x', /"id" is given twice/],
    ['loc.lat', /write NAME=loc\.lat/],
    ['lon=loc..x', /is not a path/],
    ['a=b::int', /write ::text or ::json/],
    ['a=b??', /has no value/],
    ['a:=', /has no value/],
    [':=1', /not a column/],
    ['=::text', /not a column/],
    ['tags:=["a","b"]', /job file/],
    ['a.b??1', /write NAME=a\.b/],
  ])('%s is refused', (text, message) => {
    expect(() => parseColumns(text)).toThrow(message);
  });

  test('a column called __proto__ is a column like any other', () => {
    expect(Object.entries(parseColumns('__proto__=id'))).toEqual([['__proto__', 'id']]);
  });
});

describe('parseMaxErrors', () => {
  test.each([
    ['0', 0],
    ['100', 100],
    ['1%', '1%'],
    ['0.5%', '0.5%'],
    ['100%', '100%'],
  ])('%s', (text, expected) => {
    expect(parseMaxErrors(text)).toBe(expected);
  });

  test.each(['', '-1', '1.5', '101%', '%', '1 %', '1e3', 'many'])('%s is refused', (text) => {
    expect(() => parseMaxErrors(text)).toThrow(/expected a count/);
  });

  test('what a job file may say is judged by the same rule', () => {
    expect([0, 5, '2%'].map(isMaxErrors)).toEqual([true, true, true]);
    expect([-1, 1.5, '5', Number.NaN, null, true].map(isMaxErrors)).toEqual(Array(6).fill(false));
  });
});
