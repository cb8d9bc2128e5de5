import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import type { Row } from '../../src/contract/index.js';
import { load } from '../../src/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { type ScratchSet, scratchSet, sinkOn } from './scratch-set.js';

const hosts = inject('aerospikeHosts');

/** The value of bin `v` of each record, as the official client reads it; undefined where the record has no such bin. */
async function readBack(scratch: ScratchSet, values: readonly unknown[]): Promise<unknown[]> {
  const rows: Row[] = values.map((v, id) => ({ id, v, there: 1 }));
  const report = await load({ source: iterable(rows), sink: sinkOn(scratch) });
  expect(report).toMatchObject({ status: 'complete', written: values.length });
  const found = await scratch.official.read(
    scratch.namespace,
    scratch.set,
    rows.map((_, id) => id),
  );
  expect(found.every((record) => record?.bins.there === 1)).toBe(true);
  return found.map((record) => record?.bins.v);
}

/** A value as JavaScript has it when it comes back: the database knows no difference between these. */
function asRead(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Object.is(value, -0)) return 0;
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 63) return asRead(BigInt(value));
  if (Array.isArray(value)) return value.map(asRead);
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), asRead(item)]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asRead(item)]));
}

// The official client reads a text of C, which ends at its first NUL.
const text = fc.string({ unit: 'binary', maxLength: 300 }).filter((value) => !value.includes('\0'));
const integer = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
const bytes = fc.uint8Array({ maxLength: 300 });
const fraction = fc.double({ noNaN: true }).filter((value) => !Number.isInteger(value));
const scalar = fc.oneof(integer, text, bytes, fraction, fc.boolean(), fc.constant(null));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(text, tie('value'), { maxKeys: 20, noNullPrototype: true }),
    fc
      .uniqueArray(fc.tuple(fc.oneof(fc.integer(), text), tie('value')), {
        maxLength: 20,
        selector: ([k]) => String(k),
      })
      .map((entries) => new Map(entries)),
  ),
}));

describe.runIf(hosts.length > 0)('on a real server, read by the official client', () => {
  test('values of every type and width come back as they were given', async () => {
    await using scratch = await scratchSet(hosts);
    const powers = [7, 8, 15, 16, 31, 32, 53, 62].flatMap((bits) =>
      [-1n, 0n, 1n].flatMap((near) => [2n ** BigInt(bits) + near, -(2n ** BigInt(bits)) + near]),
    );
    const values = [
      ...powers,
      2n ** 63n - 1n,
      -(2n ** 63n),
      ...[0, 1, -1, 0.5, -1.5, 1e300, Number.MIN_VALUE, 2 ** 60],
      ...['', 'a', 'ä', '€', '😀', 'x'.repeat(70_000), 'ß'.repeat(40_000)],
      ...[Buffer.alloc(0), Buffer.from([0, 255]), Buffer.alloc(70_000, 7)],
      ...[true, false],
      ...[[], ['new', 'fraud', 'regular'], [1, [2, [3, []]]], [null, true, 1.5, Buffer.from([0])]],
      ...[Array.from({ length: 20 }, (_, i) => i), Array.from({ length: 70_000 }, (_, i) => i % 300)],
      ...[
        {},
        { a: 1, b: [1, 2], c: { d: 'e' } },
        Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i])),
      ],
      ...[31, 32, 255, 256, 65_535, 65_536].map((length) => ['y'.repeat(length - 1), Buffer.alloc(length - 1, 1)]),
    ];
    const found = await readBack(scratch, values);
    for (const [i, given] of values.entries()) expect(found[i]).toEqual(asRead(given));
  });

  test('so does whatever can be imagined', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 100 }), async (values) => {
        await using scratch = await scratchSet(hosts);
        const found = await readBack(scratch, values);
        // null takes the bin away.
        expect(found).toEqual(values.map((given) => (given === null ? undefined : asRead(given))));
      }),
      { numRuns: 20 },
    );
  });

  test('a key is found by the official client, whatever its type', async () => {
    await using scratch = await scratchSet(hosts);
    const keys = [
      ...[0, 1, -1, 255, 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1)],
      ...[2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)],
      ...['a', 'ä€😀', '5', 'k'.repeat(1_000)],
      ...[Buffer.from([0]), Buffer.from([255, 0, 7]), Buffer.alloc(300, 1)],
      5,
    ];
    const rows: Row[] = keys.map((id, n) => ({ id, n }));
    const report = await load({ source: iterable(rows), sink: sinkOn(scratch) });
    expect(report).toMatchObject({ status: 'complete', written: keys.length });
    const found = await scratch.official.read(scratch.namespace, scratch.set, keys);
    expect(found.map((record) => record?.bins.n)).toEqual(keys.map((_, n) => n));
  });
});
