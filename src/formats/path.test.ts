import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compilePath, parsePath, writePath } from './path.js';

test.each([
  ['name', ['name']],
  ['loc.coordinates[0]', ['loc', 'coordinates', 0]],
  ['$', []],
  ['$.data.items', ['data', 'items']],
  ['["odd.name"].x', ['odd.name', 'x']],
])('%s has its steps', (path, steps) => {
  expect(parsePath(path)).toEqual(steps);
});

test('what is written of any names has them for steps', () => {
  expect(writePath([])).toBe('$');
  expect(writePath(['data', 'odd name', 'x'])).toBe('data["odd name"].x');
  const name = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('$', '.', '[', ']', '"', '\\', '\n', 'a') }));
  fc.assert(
    fc.property(fc.array(name), (names) => {
      expect(parsePath(writePath(names))).toEqual(names);
    }),
  );
});

test('reads nested values, and undefined where the path leaves the record', () => {
  const record = { loc: { coordinates: [1.5, null] } };
  expect(compilePath('loc.coordinates[0]')(record)).toBe(1.5);
  expect(compilePath('loc.coordinates[1]')(record)).toBeNull();
  expect(compilePath('loc.missing.deeper')(record)).toBeUndefined();
  expect(compilePath('toString')(record)).toBeUndefined();
  expect(compilePath('$')(record)).toBe(record);
});

test.each(['a..b', 'a.', 'a[x]', '[', 'a]b'])('%s is refused as a path', (path) => {
  expect(() => parsePath(path)).toThrow(/is not a path/);
});
