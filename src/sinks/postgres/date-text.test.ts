import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dateText } from './date-text.js';

test('is what toISOString says, within its four-digit years', () => {
  fc.assert(
    fc.property(
      fc.date({
        min: new Date('0001-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59.999Z'),
        noInvalidDate: true,
      }),
      (date) => {
        expect(dateText(date.getTime())).toBe(date.toISOString().replace('.000Z', 'Z'));
      },
    ),
  );
});

test.each([
  [8.64e15, '275760-09-13T00:00:00Z'],
  [Date.UTC(10_000, 0, 1, 1, 2, 3, 4), '10000-01-01T01:02:03.004Z'],
  [-62_135_596_800_000, '0001-01-01T00:00:00Z'],
  [-62_135_596_800_001, '0001-12-31T23:59:59.999Z BC'],
  [-8.64e15, '271822-04-20T00:00:00Z BC'],
  [-1, '1969-12-31T23:59:59.999Z'],
])('%s ms is %s', (time, text) => {
  expect(dateText(time)).toBe(text);
});
