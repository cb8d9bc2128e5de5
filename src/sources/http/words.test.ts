import { randomBytes } from 'node:crypto';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { unpack } from './encoding.js';
import { nextLink } from './link.js';
import { backoff, retryAfter } from './retry.js';
import { decodeUtf8 } from './utf8.js';

describe('nextLink', () => {
  test.each<[string, string | undefined]>([
    ['<https://a.test/?page=2>; rel="next"', 'https://a.test/?page=2'],
    ['<https://a.test/?page=2>; rel=next', 'https://a.test/?page=2'],
    ['<a>; rel="prev", <b>; rel="next", <c>; rel="last"', 'b'],
    ['<a,b;c>; rel="next"', 'a,b;c'],
    ['<a>; title="x, <b>; rel=next"; rel="prev", <c>; REL="NEXT"', 'c'],
    ['<a>; rel="prefetch next"', 'a'],
    ['<a>;rel=next;title=x', 'a'],
    ['<a>; rel="nextish"', undefined],
    ['<a>; rev="next"', undefined],
    ['<a>', undefined],
    ['', undefined],
  ])('%s', (header, target) => {
    expect(nextLink(header)).toBe(target);
  });

  test('reads a header that was sent several times', () => {
    expect(nextLink(['<a>; rel="prev"', '<b>; rel="next"'])).toBe('b');
  });

  test('is done quickly with a long header that has no link in it', () => {
    const start = performance.now();
    nextLink(`<a>${'; x="'.repeat(30_000)}`);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe('retryAfter', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  test.each([
    ['120', 120_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
  ])('%s', (header, milliseconds) => {
    expect(retryAfter(header, now)).toBe(milliseconds);
  });
});

test('backoff is random between nothing and twice as much each time, up to the longest pause', () => {
  const rules = { attempts: 9, firstPause: 100, longestPause: 1_000 };
  expect([1, 2, 3, 4, 5, 60].map((failures) => backoff(failures, rules, 1))).toEqual([
    100, 200, 400, 800, 1_000, 1_000,
  ]);
  expect(backoff(3, rules, 0)).toBe(0);
  expect(backoff(3, rules, 0.5)).toBe(200);
});

describe('decodeUtf8', () => {
  test('gives text back as it was, damaged or not', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.uint8Array({ maxLength: 12 }), (text, bytes) => {
        const whole = decodeUtf8(Buffer.from(JSON.stringify([text])));
        expect(JSON.parse(whole.text)).toEqual([text]);
        expect(whole.damage).toBeUndefined();
        // Bytes above 127 need no escape in JSON, so a string of them can be put together by hand.
        const high = bytes.map((byte) => byte | 0x80);
        const body = Buffer.concat([Buffer.from(`[${JSON.stringify(text)},"`), high, Buffer.from('"]')]);
        const { text: decoded, damage } = decodeUtf8(body);
        const [first, second] = JSON.parse(decoded);
        expect(first).toBe(text);
        const valid = Buffer.from(Buffer.from(high).toString('utf8')).equals(Buffer.from(high));
        if (valid) expect(second).toBe(Buffer.from(high).toString('utf8'));
        else expect(damage?.reveal(second)).toEqual({ value: { base64: Buffer.from(high).toString('base64') } });
        expect(damage?.reveal(first)).toBeUndefined();
      }),
    );
  });

  test('drops a byte order mark', () => {
    expect(decodeUtf8(Buffer.from('\ufeff[]')).text).toBe('[]');
  });

  test('finds damage in nested values and in names', () => {
    const body = Buffer.from('[{"a":{"b":["\xff","ok"]},"c":1},{"\xfe":1},{"d":"ok"}]', 'latin1');
    const { text, damage } = decodeUtf8(body);
    const [nested, named, fine] = JSON.parse(text);
    expect(damage?.reveal(nested)).toEqual({ value: { a: { b: [{ base64: '/w==' }, 'ok'] }, c: 1 } });
    expect(damage?.reveal(named)).toEqual({ value: { '\ufffd': 1 } });
    expect(damage?.reveal(fine)).toBeUndefined();
  });
});

describe('unpack', () => {
  const codings = [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const;
  // Random bytes stay as long as they are: more than are unpacked at once.
  const long = randomBytes(200_000);

  test.each(codings)('takes %s, a short body and a long one', async (coding, pack) => {
    expect(String(await unpack(pack('[1]'), coding))).toBe('[1]');
    expect((await unpack(pack(long), coding)).equals(long)).toBe(true);
  });

  test.each(codings)('takes %s of a short body that becomes a long one', async (coding, pack) => {
    const zeros = Buffer.alloc(8 * 1024 * 1024);
    expect((await unpack(pack(zeros), coding)).equals(zeros)).toBe(true);
  });

  test.each(codings)('calls %s that was cut a truncated body, short or long', async (coding, pack) => {
    for (const body of ['[1,2,3]', long]) {
      const packed = pack(body);
      const cut = packed.subarray(0, packed.length / 2);
      await expect(unpack(cut, coding)).rejects.toMatchObject({ code: 'truncated-body' });
    }
  });

  test('leaves alone what is not packed at all', async () => {
    expect(String(await unpack(Buffer.from('[1]'), undefined))).toBe('[1]');
  });

  test('refuses codings it was not asked to know', async () => {
    await expect(unpack(Buffer.from('x'), 'zstd')).rejects.toMatchObject({ code: 'not-json' });
  });
});
