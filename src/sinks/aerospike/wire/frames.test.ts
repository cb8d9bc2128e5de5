import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answer, bitmap, frame as framed } from '../../../../test/sinks/aerospike/endpoint.js';
import { readAdminAnswer } from './admin.js';
import { FrameReader, readAnswers } from './frames.js';
import { infoNumber, readInfo, readPeers, readReplicas } from './info.js';
import { KeyDigest } from './key.js';
import { ripemd160 } from './ripemd160.js';

const protocolFault = expect.objectContaining({ code: 'protocol-fault' });

/** What a call throws; undefined when it does not. */
function thrownBy(call: () => unknown): unknown {
  try {
    call();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('ripemd160', () => {
  test('agrees with OpenSSL for messages of every length', () => {
    const state = new Int32Array(5);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (message) => {
        const bytes = new Uint8Array(message.length + 72).fill(0xaa);
        bytes.set(message);
        ripemd160(state, bytes, message.length);
        const digest = Buffer.from(state.buffer).toString('hex');
        expect(digest).toBe(createHash('ripemd160').update(message).digest('hex'));
      }),
      { numRuns: 500 },
    );
  });

  test('a long key after a short one, and a short one after it', () => {
    const key = new KeyDigest('users');
    const digestOf = (text: string) => {
      key.digest(text);
      return Buffer.from(key.words.buffer).toString('hex');
    };
    const expected = (text: string) => createHash('ripemd160').update(`users\x03${text}`).digest('hex');
    for (const text of ['a', 'b'.repeat(10_000), 'c', '', 'd'.repeat(900)]) expect(digestOf(text)).toBe(expected(text));
  });
});

describe('FrameReader', () => {
  test('gives whole frames, wherever the bytes are cut', () => {
    const frames = [framed(1, Buffer.from('node\tA\n')), framed(3, Buffer.alloc(0)), framed(3, Buffer.alloc(300, 7))];
    const bytes = Buffer.concat(frames);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
        const reader = new FrameReader();
        const read: Buffer[] = [];
        const ends = [...cuts.sort((a, b) => a - b), bytes.length];
        let from = 0;
        for (const to of ends) {
          reader.read(bytes.subarray(from, to), (type, body) => read.push(framed(type, Buffer.from(body))));
          from = to;
        }
        expect(read).toEqual(frames);
      }),
    );
  });

  test.each([
    ['a version that is none', Buffer.from([3, 3, 0, 0, 0, 0, 0, 0])],
    ['a type that is none', Buffer.from([2, 9, 0, 0, 0, 0, 0, 0])],
    ['compressed bytes, which nobody asked for', Buffer.from([2, 4, 0, 0, 0, 0, 0, 0])],
    ['a length beyond all reason', Buffer.from([2, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['text, as from another server', Buffer.from('HTTP/1.1 400 Bad Request\r\n')],
  ])('refuses %s', (_, bytes) => {
    expect(thrownBy(() => new FrameReader().read(bytes, () => {}))).toEqual(protocolFault);
  });
});

describe('readAnswers', () => {
  test('reads every answer of a frame, past fields and operations', () => {
    const withParts = answer(7, 0);
    withParts.writeUInt16BE(1, 18);
    withParts.writeUInt16BE(1, 20);
    const part = Buffer.from([0, 0, 0, 3, 1, 2, 3]);
    const read: [number, number, boolean][] = [];
    readAnswers(Buffer.concat([withParts, part, part, answer(3, 13), answer(0, 0, true)]), (...one) => read.push(one));
    expect(read).toEqual([
      [7, 0, false],
      [3, 13, false],
      [0, 0, true],
    ]);
  });

  test('never reads beyond what came, whatever the bytes say', () => {
    const whole = Buffer.concat([answer(0, 0), answer(1, 5), answer(2, 0, true)]);
    const changed = fc.tuple(
      fc.nat(whole.length),
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
    );
    fc.assert(
      fc.property(changed, ([length, changes]) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        const error = thrownBy(() => readAnswers(bytes.subarray(0, length), () => {}));
        if (error !== undefined) expect(error).toEqual(protocolFault);
      }),
      { numRuns: 1_000 },
    );
  });

  test('refuses a field that is longer than the message', () => {
    const lying = answer(0, 0);
    lying.writeUInt16BE(1, 18);
    const error = thrownBy(() =>
      readAnswers(Buffer.concat([lying, Buffer.from([0xff, 0xff, 0xff, 0xff, 1])]), () => {}),
    );
    expect(error).toEqual(protocolFault);
  });
});

describe('what nodes tell of themselves', () => {
  test('values by name', () => {
    const values = readInfo(Buffer.from('node\tBB9\nbuild\t8.0.0.15\nempty\t\nalone\n'));
    expect([...values]).toEqual([
      ['node', 'BB9'],
      ['build', '8.0.0.15'],
      ['empty', ''],
      ['alone', ''],
    ]);
    expect(thrownBy(() => infoNumber(values, 'build'))).toEqual(protocolFault);
    expect(thrownBy(() => infoNumber(values, 'missing'))).toEqual(protocolFault);
  });

  test('peers, with names for TLS, ports of their own and IPv6', () => {
    expect(
      readPeers('5,3000,[[A,,[10.0.0.1,10.0.0.2:3100]],[B,tls.example,[[::1]:4333,[fe80::2],abcd:3001]]]'),
    ).toEqual({
      generation: 5,
      peers: [
        {
          name: 'A',
          addresses: [
            { host: '10.0.0.1', port: 3000 },
            { host: '10.0.0.2', port: 3100 },
          ],
        },
        {
          name: 'B',
          addresses: [
            { host: '::1', port: 4333, tlsName: 'tls.example' },
            { host: 'fe80::2', port: 3000, tlsName: 'tls.example' },
            { host: 'abcd', port: 3001, tlsName: 'tls.example' },
          ],
        },
      ],
    });
    expect(readPeers('0,3000,[]')).toEqual({ generation: 0, peers: [] });
  });

  test.each([
    '',
    '1',
    '1,3000,',
    '1,3000,[[A]]',
    '1,3000,[[A,,[x:99999]]]',
    '1,3000,[[A,,[',
    'x,3000,[]',
    '1,,[[A,,[x]]]',
  ])('peers that can not be read: %s', (text) => {
    expect(thrownBy(() => readPeers(text))).toEqual(protocolFault);
  });

  test('any text is either peers or a fault', () => {
    const characters = fc.constantFrom('[', ']', ',', ':', 'A', '1', '.');
    fc.assert(
      fc.property(fc.array(characters, { maxLength: 40 }), (all) => {
        const error = thrownBy(() => readPeers(`1,3000,[${all.join('')}]`));
        if (error !== undefined) expect(error).toEqual(protocolFault);
      }),
      { numRuns: 1_000 },
    );
  });

  test('partitions of one namespace among others', () => {
    const text = `other:0,2,${bitmap()},${bitmap()};test:4,1,${bitmap(0, 10)};`;
    const { mastered, namespaces } = readReplicas(text, 'test');
    expect(namespaces).toEqual(['other', 'test']);
    expect(mastered?.regime).toBe(4);
    expect(mastered?.bitmap.toString('base64')).toBe(bitmap(0, 10));
    expect(readReplicas(text, 'none').mastered).toBeUndefined();
  });

  test.each(['test', 'test:', 'test:x,1,AA==', 'test:0,1,AA==', `test:0,1,AAAA${bitmap()}`])(
    'partitions that can not be read: %s',
    (text) => {
      expect(thrownBy(() => readReplicas(text, 'test'))).toEqual(protocolFault);
    },
  );

  test('the answer to a login, and ones that lie about their lengths', () => {
    const head = Buffer.from([0, 0, 0, 1, ...Array(12).fill(0)]);
    const token = Buffer.from([0, 0, 0, 3, 5, 1, 2]);
    expect(readAdminAnswer(Buffer.concat([head, token]))).toEqual({
      code: 0,
      token: Buffer.from([1, 2]),
      seconds: undefined,
    });
    for (const bad of [
      head.subarray(0, 8),
      head,
      Buffer.concat([head, token.subarray(0, 6)]),
      Buffer.concat([head, Buffer.alloc(5)]),
    ]) {
      expect(thrownBy(() => readAdminAnswer(bad))).toEqual(protocolFault);
    }
  });
});
