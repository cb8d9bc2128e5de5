import { describe, expect, test } from 'vitest';
import { people } from '../../../test/servers/troubled-api.js';
import type { Row } from '../../contract/index.js';
import { parseJson } from '../../formats/json.js';
import { Doctor, freshTally, isRecord } from './doctor.js';
import { Recent } from './recent.js';

const byId = (record: Row) => (record.id === undefined ? undefined : String(record.id));

/** Shows pages to a doctor, and gives its verdicts by name. */
function verdicts(doctor: Doctor, pages: readonly (readonly unknown[])[], total?: number): Record<string, boolean> {
  let rows = 0;
  for (const [i, items] of pages.entries()) {
    doctor.total(total, `page ${i + 1}`);
    doctor.examine(items, JSON.stringify(items), `page ${i + 1}`);
    rows += items.length;
  }
  return Object.fromEntries(doctor.findings(rows, true).map(({ name, incomplete }) => [name, incomplete]));
}

describe('Doctor', () => {
  test('has nothing to say of pages that follow one another', () => {
    expect(verdicts(new Doctor(byId), [people(10), people(10, 11), people(3, 21)], 23)).toEqual({});
    expect(verdicts(new Doctor(undefined), [people(10), people(10, 11), people(3, 21)])).toEqual({});
  });

  test('names records of earlier pages by their place on the page', () => {
    const doctor = new Doctor(byId);
    doctor.examine(people(10), 'a', 'page 1');
    doctor.examine(people(10, 11), 'b', 'page 2');
    expect(doctor.examine([{ id: 99 }, { id: 3 }, { id: 20 }], 'c', 'page 3').duplicates).toEqual(new Set([1, 2]));
    expect(doctor.findings(23, true)).toMatchObject([
      { name: 'overlap', incomplete: true, message: expect.stringContaining('2 records came again') },
    ]);
  });

  test('leaves a key that stands twice on one page to the target', () => {
    const doctor = new Doctor(byId);
    expect(doctor.examine([{ id: 1 }, { id: 1 }], 'a', 'page 1').duplicates.size).toBe(0);
    expect(doctor.examine([{ id: 1 }, { id: 2 }, { id: 2 }], 'b', 'page 2').duplicates).toEqual(new Set([0]));
  });

  test('does not judge records without a key, nor items that are no records', () => {
    const doctor = new Doctor(byId);
    doctor.examine([{}, 5, null, [1]], 'a', 'page 1');
    expect(doctor.examine([{}, 5, null, [1], { id: 1 }], 'b', 'page 2').duplicates.size).toBe(0);
  });

  test('without a key compares with the page before only, and drops nothing', () => {
    const doctor = new Doctor(undefined);
    expect(verdicts(doctor, [people(10), people(10, 10), people(10, 1).slice(2, 5)])).toEqual({ overlap: true });
    expect(doctor.tally).toMatchObject({ repeated: 0, alike: 1, overlaps: 1 });
  });

  test('forgives an overlap when total and distinct rows agree, and not when they do not', () => {
    expect(verdicts(new Doctor(byId), [people(10), people(10, 6)], 15)).toEqual({ overlap: false });
    expect(verdicts(new Doctor(byId), [people(10), people(10, 6)], 20)).toEqual({
      overlap: true,
      'total-mismatch': true,
    });
  });

  test('a total that fell proves nothing, even when it agrees', () => {
    const doctor = new Doctor(byId);
    doctor.total(11, 'page 1');
    doctor.examine(people(5), 'a', 'page 1');
    doctor.total(10, 'page 2');
    doctor.examine(people(5, 6), 'b', 'page 2');
    expect(doctor.findings(10, true)).toMatchObject([{ name: 'total-drift', incomplete: true }]);
  });

  test('goes on from a tally as if it had seen all', () => {
    const first = new Doctor(byId);
    first.total(20, 'page 1');
    first.examine(people(10), 'a', 'page 1');
    first.shortPage('page 1');
    const second = new Doctor(byId, JSON.parse(JSON.stringify(first.tally)));
    second.total(21, 'page 2');
    second.examine(people(10, 11), 'b', 'page 2');
    const found = second.findings(20, true).map(({ name, incomplete }) => [name, incomplete]);
    expect(found).toEqual([
      ['total-drift', true],
      ['short-page', true],
      ['total-mismatch', true],
    ]);
  });

  test('claims nothing about a listing that was not to be read whole', () => {
    const doctor = new Doctor(byId, { ...freshTally, total: 100, short: 1 });
    doctor.examine(people(10), 'a', 'page 1');
    expect(doctor.findings(10, false)).toMatchObject([{ name: 'short-page', incomplete: false }]);
  });

  test('keeps the first message of a name, and the worse verdict', () => {
    const doctor = new Doctor(byId);
    doctor.report('not-json', 'first', false);
    doctor.report('not-json', 'second', true);
    expect(doctor.findings(0, true)).toEqual([{ name: 'not-json', message: 'first', incomplete: true }]);
  });
});

test('a number kept digit for digit is not a record', () => {
  expect(isRecord(parseJson('1.10'))).toBe(false);
  expect(isRecord(parseJson('{"a":1.10}'))).toBe(true);
});

test('Recent remembers at least its span and at most twice as many', () => {
  const recent = new Recent<number>(100);
  for (let i = 0; i < 1_000; i++) {
    recent.set(String(i), i);
    for (const back of [0, 50, 99]) if (i >= back) expect(recent.get(String(i - back))).toBe(i - back);
    expect(recent.get(String(i - 200))).toBeUndefined();
  }
});
