import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { isLosslessNumber, parseJson, stringifyJson } from './json.js';

describe('parseJson', () => {
  test.each(['1.10', '9007199254740993', '1e400', '-0', '0.0000001', '12345678.123456789', '1E5', '100.0'])(
    'keeps the digits of %s',
    (digits) => {
      const parsed = parseJson(`{"a": [${digits}]}`);
      expect(stringifyJson(parsed)).toBe(`{"a":[${digits}]}`);
      expect(String(parseJson(digits))).toBe(digits);
    },
  );

  test('leaves numbers that survive as plain numbers', () => {
    expect(parseJson('{"a":1,"b":-2.5,"c":123456789012345}')).toEqual({ a: 1, b: -2.5, c: 123456789012345 });
  });

  test('keeps plain numbers plain beside a fragile one', () => {
    const parsed = parseJson('[1,1.10]') as unknown[];
    expect(parsed[0]).toBe(1);
    expect(isLosslessNumber(parsed[1])).toBe(true);
  });

  test('a time of day in a text is no reason for the careful way', () => {
    const parse = vi.spyOn(JSON, 'parse');
    const text = '{"at": "2026-01-02T10:20:30.500Z", "note": "from 10:30.10h, -0.5e3x"}';
    const careful = text.replace('500Z"', '500Z", "n": 1.10');
    parseJson(text);
    expect(parse.mock.lastCall).toEqual([text]);
    parseJson(careful);
    expect(parse.mock.lastCall).not.toEqual([careful]);
    parse.mockRestore();
  });

  test('what is not JSON is told in words about the text, on either path', () => {
    const told = (parse: (text: string) => unknown, text: string) => {
      try {
        return parse(text);
      } catch (error) {
        return String(error);
      }
    };
    for (const text of [
      '{"a":1.10,}',
      '{"a":01.10}',
      '{1.10 : 2}',
      '{1.10: 2}',
      '--1.10',
      '[1.10',
      '["\\x", 1.10]',
      '1.10.10',
    ])
      expect(told(parseJson, text)).toBe(told(JSON.parse, text));
  });

  test('texts and keys stay what they are beside a fragile number, whatever they hold', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const text = JSON.stringify(JSON.parse(json));
        expect(stringifyJson(parseJson(`[${text},1.10]`))).toBe(`[${text},1.10]`);
      }),
    );
    expect(parseJson('{"__proto__":1.10}')).toHaveProperty('__proto__', expect.anything());
    expect(stringifyJson(parseJson('["1.10,", "\\"1.10", 1.10]'))).toBe('["1.10,","\\"1.10",1.10]');
  });

  test('long texts beside a fragile number take no hundred times as long', () => {
    const records = (amount: string) =>
      `[${Array.from({ length: 500 }, (_, id) => `{"id":${id},"text":"${'x'.repeat(2_000)}","amount":${amount}}`).join()}]`;
    const time = (text: string) => {
      const start = performance.now();
      parseJson(text);
      return performance.now() - start;
    };
    const best = (text: string) => Math.min(...Array.from({ length: 5 }, () => time(text)));
    expect(best(records('1.50'))).toBeLessThan(40 * best(records('1.5')));
  });

  test('of a repeated key keeps the last, on either path', () => {
    expect(parseJson('{"a":1,"a":2}')).toEqual({ a: 2 });
    expect(stringifyJson(parseJson('{"a":1,"a":1.10}'))).toBe('{"a":1.10}');
  });

  test('throws SyntaxError for what is not JSON, on either path', () => {
    expect(() => parseJson('{"a":')).toThrow(SyntaxError);
    expect(() => parseJson('{"a":1.10')).toThrow(SyntaxError);
  });

  const digits = fc
    .tuple(
      fc.constantFrom('', '-'),
      fc.oneof(fc.constant('0'), fc.bigInt({ min: 1n, max: 10n ** 22n }).map(String)),
      fc.oneof(fc.constant(''), fc.stringMatching(/^\.[0-9]{1,20}$/)),
      fc.oneof(
        { weight: 3, arbitrary: fc.constant('') },
        { weight: 1, arbitrary: fc.stringMatching(/^[eE][+-]?[0-9]{1,3}$/) },
      ),
    )
    .map((parts) => parts.join(''));

  test('gives back every number as written, wherever it stands', () => {
    fc.assert(
      fc.property(
        fc.array(digits, { minLength: 1, maxLength: 5 }),
        fc.constantFrom('', ' ', '\n'),
        (numbers, space) => {
          const text = `{"a":${space}[${numbers.join(`${space},${space}`)}${space}],"b":${space}${numbers[0]}}`;
          expect(stringifyJson(parseJson(text))).toBe(`{"a":[${numbers.join(',')}],"b":${numbers[0]}}`);
        },
      ),
    );
  });
});
