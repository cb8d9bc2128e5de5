// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { interpolate } from './interpolate.js';

const environment = { HOST: 'db.example', EMPTY: '', NASTY: 'a: [b]\n"${HOST}" #' };

describe('interpolate', () => {
  test.each([
    ['${HOST}', 'db.example'],
    ['postgres://${HOST}:5432/${EMPTY}', 'postgres://db.example:5432/'],
    ['${MISSING:-fallback}', 'fallback'],
    ['${MISSING:-}', ''],
    ['${EMPTY:-fallback}', 'fallback'],
    ['${HOST:-fallback}', 'db.example'],
    ['$${HOST}', '${HOST}'],
    ['$$${HOST}', '$${HOST}'],
    ['$HOST costs $5', '$HOST costs $5'],
  ])('%s becomes %s', (text, expected) => {
    expect(interpolate(text, environment)).toMatchObject({ text: expected, problems: [] });
  });

  test("takes a variable's value literally, whatever it holds", () => {
    expect(interpolate('x${NASTY}x', environment).text).toBe(`x${environment.NASTY}x`);
  });

  test('names every variable that is not set', () => {
    const { problems } = interpolate('${ONE} ${TWO}', environment);
    expect(problems).toHaveLength(2);
    expect(problems[0]).toContain('ONE is not set');
    expect(problems[1]).toContain('TWO is not set');
  });

  test.each(['${', '${}', '${1A}', '${A B}', '${HOST', '${A:-${HOST}}', '${HOST:=x}'])('%s is refused', (text) => {
    expect(interpolate(text, environment).problems[0]).toContain('begins a variable');
  });

  test('says whether a variable stands in the text', () => {
    expect(interpolate('${HOST}', environment).changed).toBe(true);
    expect(interpolate('$${HOST}', environment).changed).toBe(false);
  });

  test('gives back what holds no ${ as it is', () => {
    const plain = fc.string({ unit: fc.oneof(fc.constantFrom('$', '{', '}', '\\', ':'), fc.string()) });
    fc.assert(
      fc.property(
        plain.filter((text) => !text.includes('${')),
        (text) => {
          expect(interpolate(text, environment)).toEqual({ text, problems: [], changed: false });
        },
      ),
    );
  });

  test('gives back any text whose every ${ was escaped', () => {
    const parts = fc.array(
      fc.oneof(
        fc.constant('${'),
        fc.string().filter((text) => !/[${]/.test(text)),
      ),
    );
    fc.assert(
      fc.property(parts, (pieces) => {
        const escaped = pieces.map((piece) => (piece === '${' ? '$${' : piece)).join('');
        expect(interpolate(escaped, environment).text).toBe(pieces.join(''));
      }),
    );
  });
});
