import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Oracle, type Put, startOracle } from '../../../../test/sinks/aerospike/oracle.js';
import { authenticateRequest, hashPassword, loginRequest } from './admin.js';
import { writeParticle } from './bin.js';
import { KeyDigest, type KeyValue } from './key.js';
import { info2, info3 } from './protocol.js';
import { type WriteSettings, writeBin, writePut } from './write-message.js';
import { Writer } from './writer.js';

let oracle: Oracle;
beforeAll(async () => {
  oracle = await startOracle();
});
afterAll(async () => {
  await oracle[Symbol.asyncDispose]();
});

const plain: WriteSettings = { namespace: 'test', set: 'users', info2: info2.write, info3: 0, ttl: 0, sendKey: false };

function ours(key: KeyValue, bins: Readonly<Record<string, unknown>>, settings: Partial<WriteSettings> = {}, gen = 0) {
  const writer = new Writer(16);
  const all = { ...plain, ...settings };
  const digest = new KeyDigest(all.set);
  digest.digest(key);
  const operations = {
    write(to: Writer) {
      for (const [name, value] of Object.entries(bins)) writeBin(to, Buffer.from(name), value, writeParticle);
      return Object.keys(bins).length;
    },
  };
  writePut(writer, all, digest, gen, operations);
  return Buffer.from(writer.bytes.subarray(0, writer.at)).toString('hex');
}

async function theirs(record: Put): Promise<string> {
  return (await oracle.put(record)).toString('hex');
}

// The official client takes a text for one of C, which ends at its first NUL.
const text = (max = 300) => fc.string({ unit: 'binary', maxLength: max }).filter((value) => !value.includes('\0'));
const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -300, max: 300 }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  ...[7, 8, 15, 16, 31, 32, 53, 63].flatMap((bits) =>
    [-1n, 0n, 1n].flatMap((near) =>
      [-1n, 1n]
        .map((sign) => sign * 2n ** BigInt(bits) + near)
        .filter((n) => n >= -(2n ** 63n) && n < 2n ** 63n)
        .map(fc.constant),
    ),
  ),
);
const bytes = (max = 300) => fc.uint8Array({ maxLength: max }).map((value) => Buffer.from(value));
const setName = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 63 }).filter((name) => !name.includes('\0'));
const fraction = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Number.isInteger(value));
const scalar = fc.oneof(integer, text(), bytes(), fraction, fc.boolean(), fc.constant(null));
const key: fc.Arbitrary<KeyValue> = fc.oneof(
  integer,
  text().filter((value) => value !== ''),
  bytes().filter((b) => b.length > 0),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(text(20), tie('value'), { maxKeys: 20, noNullPrototype: true }),
    fc
      .uniqueArray(fc.tuple(fc.oneof(fc.integer(), text(20)), tie('value')), {
        maxLength: 20,
        selector: ([k]) => String(k),
      })
      .map((all) => new Map(all)),
  ),
}));

describe('byte for byte as the official client', () => {
  test('a record whose bin is a list of short texts', async () => {
    const bins = { categories: ['new', 'fraud', 'regular'] };
    expect(ours(5, bins)).toBe(await theirs({ key: 5, bins }));
  });

  test('keys of every type and width, and their digests', async () => {
    await fc.assert(
      fc.asyncProperty(key, setName, async (k, set) => {
        const bins = { a: 1 };
        expect(ours(k, bins, { set, sendKey: true })).toBe(await theirs({ key: k, set, bins, policy: { key: 1 } }));
      }),
      { numRuns: 300 },
    );
  });

  test('values of every type and width', async () => {
    await fc.assert(
      fc.asyncProperty(value, async (one) => {
        const bins = { bin: one };
        expect(ours(1, bins)).toBe(await theirs({ key: 1, bins }));
      }),
      { numRuns: 500 },
    );
  });

  test('lists, maps and texts on both sides of every width of their length', async () => {
    for (const length of [15, 16, 30, 31, 32, 254, 255, 256, 65_534, 65_535, 65_536]) {
      const bins = {
        list: Array.from({ length }, (_, i) => i % 3),
        text: ['é'.repeat(length >> 1), 'x'.repeat(length), `${'x'.repeat(length - 2)}é`],
        bytes: [Buffer.alloc(length, 7)],
        map: Object.fromEntries(Array.from({ length }, (_, i) => [`k${i}`, i])),
      };
      expect(ours(1, bins) === (await theirs({ key: 1, bins })), `length ${length}`).toBe(true);
    }
  });

  test('a double that is a whole number, where the job says so', async () => {
    const writer = new Writer();
    writer.double(3);
    const message = await theirs({ key: 1, bins: { d: { double: 3 } } });
    expect(message.endsWith(writer.bytes.subarray(0, 8).toString('hex'))).toBe(true);
  });

  test('TTL, generation, durable delete and each mode', async () => {
    const bins = { a: 'x' };
    const same = async (settings: Partial<WriteSettings>, record: Partial<Put>, generation = 0) => {
      expect(ours('k', bins, settings, generation)).toBe(await theirs({ key: 'k', bins, ...record }));
    };
    await same({ ttl: 3_600 }, { meta: { ttl: 3_600 } });
    await same({ ttl: -1 }, { meta: { ttl: -1 } });
    await same({ ttl: -2 }, { meta: { ttl: -2 } });
    await same({ info2: info2.write | info2.generation }, { meta: { gen: 7 }, policy: { gen: 1 } }, 7);
    await same({ info2: info2.write | info2.generationGreater }, { meta: { gen: 7 }, policy: { gen: 2 } }, 7);
    await same({ info2: info2.write | info2.durableDelete }, { policy: { durableDelete: true } });
    await same({ info2: info2.write | info2.createOnly }, { policy: { exists: 1 } });
    await same({ info3: info3.updateOnly }, { policy: { exists: 2 } });
    await same({ info3: info3.createOrReplace }, { policy: { exists: 4 } });
  });

  test('the login of a user, and of further connections', async () => {
    await using secured = await startOracle({ user: 'ann', password: 'sécret' });
    const credential = await hashPassword('sécret');
    expect(secured.admin.length).toBeGreaterThanOrEqual(1);
    expect(secured.admin[0]!.toString('hex')).toBe(loginRequest('ann', credential).toString('hex'));
    await secured.put({ key: 1, bins: { a: 1 } });
    expect(secured.admin.at(-1)!.toString('hex')).toBe(
      authenticateRequest('ann', Buffer.from('token')).toString('hex'),
    );
  });
});
