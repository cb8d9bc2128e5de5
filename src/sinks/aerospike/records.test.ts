import { describe, expect, test } from 'vitest';
import { batchAnswer, recordsOf, startEndpoint } from '../../../test/sinks/aerospike/endpoint.js';
import { decodedBatch } from '../../../test/sinks/postgres/batches.js';
import type { Cell, Context, Intake, Reject } from '../../contract/index.js';
import { JsonText, LosslessNumber } from '../../formats/json.js';
import { type AerospikeOptions, aerospike } from './index.js';

const signal = new AbortController().signal;
const context: Context = { run: 'r', job: 'j', epoch: 1, signal, log: { debug() {}, info() {}, warn() {} } };

interface Sent {
  /** What follows each record's digest, by hexadecimal digits, in the order of the rows. */
  readonly records: string[];
  readonly rejects: readonly Reject[];
}

/** Hands records to a sink whose server takes them all, and says what it was sent. */
async function send(
  columns: readonly string[],
  records: readonly (readonly Cell[])[],
  options: Partial<AerospikeOptions> = {},
  textual = false,
): Promise<Sent> {
  const sent: string[] = [];
  await using server = await startEndpoint({
    onRecords(message, socket) {
      const asked = recordsOf(message);
      sent.push(...asked.map(({ rest }) => rest).reverse());
      socket.write(batchAnswer(asked.map(() => 0)));
    },
  });
  await using sink = aerospike({ url: `aerospike://127.0.0.1:${server.port}/test/users`, key: 'id', ...options });
  await sink.plan({ columns, sample: [], textual, ignoreExtra: false }, context);
  await sink.open(context);
  const { rejects } = await sink.write(decodedBatch(columns, records, { textual }), context);
  return { records: sent, rejects };
}

const hex = (text: string) => Buffer.from(text).toString('hex');
const holds = (text: string) => expect.stringContaining(hex(text));

describe('a record that can not be written is refused alone', () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  test.each<[string, readonly Cell[], string, string | undefined]>([
    ['no key', [undefined, 'x'], 'missing-key', 'id'],
    ['a null key', [null, 'x'], 'null-key', 'id'],
    ['a key that is a list', [[1], 'x'], 'wrong-key-type', 'id'],
    ['a key that is an object', [{ a: 1 }, 'x'], 'wrong-key-type', 'id'],
    ['a key that is true', [true, 'x'], 'wrong-key-type', 'id'],
    ['a key with a fraction', [1.5, 'x'], 'wrong-key-type', 'id'],
    ['a key that is NaN', [Number.NaN, 'x'], 'wrong-key-type', 'id'],
    ['an integer key beyond 64 bits', [2n ** 63n, 'x'], 'integer-out-of-range', 'id'],
    ['half a surrogate pair in the key', ['\ud800', 'x'], 'not-unicode', 'id'],
    ['no value', [1, undefined], 'empty-record', undefined],
    ['NaN', [1, Number.NaN], 'not-a-number', 'name'],
    ['NaN in a list', [1, [Number.NaN]], 'not-a-number', 'name'],
    ['undefined in a list', [1, [undefined]], 'undefined-value', 'name'],
    ['a function', [1, () => 1], 'unsupported-value', 'name'],
    ['a symbol in a map', [1, { a: Symbol('x') }], 'unsupported-value', 'name'],
    ['a Set', [1, new Set([1])], 'unsupported-value', 'name'],
    ['an instance of a class', [1, new URL('http://x/')], 'unsupported-value', 'name'],
    ['a map with a list as key', [1, new Map([[[1], 1]])], 'unsupported-map-key', 'name'],
    ['an integer beyond 64 bits', [1, -(2n ** 63n) - 1n], 'integer-out-of-range', 'name'],
    [
      'an integer of JSON beyond 64 bits',
      [1, new LosslessNumber('9223372036854775808')],
      'integer-out-of-range',
      'name',
    ],
    ['a number of JSON beyond a double', [1, new LosslessNumber('1e400')], 'number-out-of-range', 'name'],
    ['an invalid date', [1, new Date(Number.NaN)], 'invalid-date', 'name'],
    ['half a surrogate pair', [1, 'a\udc00'], 'not-unicode', 'name'],
    ['half a surrogate pair in a list', [1, ['\ud800x']], 'not-unicode', 'name'],
    ['a value that holds itself', [1, cycle], 'too-deep', 'name'],
  ])('%s', async (_, bad, code, column) => {
    const { records, rejects } = await send(['id', 'name'], [[7, 'before'], bad, [8, 'after']]);
    expect(records).toEqual([holds('before'), holds('after')]);
    expect(rejects).toEqual([expect.objectContaining({ row: 1, code, ...(column !== undefined && { column }) })]);
    expect(rejects[0]!.reason).not.toBe('');
  });
});

describe('what a job says values are', () => {
  const one = async (type: string, value: Cell, textual = true) => {
    const bins = { v: type } as NonNullable<AerospikeOptions['bins']>;
    const { records, rejects } = await send(['id', 'v'], [['k', value]], { bins }, textual);
    return rejects[0]?.code ?? records[0]!.slice(records[0]!.lastIndexOf('0176') - 6);
  };
  const operation = (particle: string, value: string) => `02${particle}000176${value}`;

  test.each<[string, Cell, string]>([
    ['integer', '5', operation('01', '0000000000000005')],
    ['integer', '-9223372036854775808', operation('01', '8000000000000000')],
    ['integer', new LosslessNumber('1e3'), operation('01', '00000000000003e8')],
    ['integer', '5.5', 'not-an-integer'],
    ['integer', '', 'not-an-integer'],
    ['integer', '9223372036854775808', 'integer-out-of-range'],
    ['double', '1', operation('02', '3ff0000000000000')],
    ['double', 3, operation('02', '4008000000000000')],
    ['double', new LosslessNumber('1.50'), operation('02', '3ff8000000000000')],
    ['double', 'NaN', 'not-a-double'],
    ['double', Number.NaN, 'not-a-number'],
    ['string', 5n, operation('03', hex('5'))],
    ['string', { a: [1] }, operation('03', hex('{"a":[1]}'))],
    ['string', new Date(0), operation('03', hex('1970-01-01T00:00:00.000Z'))],
    ['string', Buffer.from('x'), 'not-a-text'],
    ['boolean', 'true', operation('11', '01')],
    ['boolean', 'F', operation('11', '00')],
    ['boolean', 'yes', 'not-a-boolean'],
    ['bytes', 'AQI=', operation('04', '0102')],
    ['bytes', 'AQI', 'not-bytes'],
    ['json', '["a",1]', operation('14', '92a2036101')],
    ['json', new JsonText('true'), operation('11', '01')],
    ['json', '[', 'not-json'],
    ['auto', '5', operation('03', hex('5'))],
    ['auto', new LosslessNumber('1.0'), operation('02', '3ff0000000000000')],
    ['auto', new LosslessNumber('9007199254740993'), operation('01', '0020000000000001')],
    ['auto', new JsonText('[1]'), operation('03', hex('[1]'))],
    ['integer', null, operation('00', '')],
    ['double', null, operation('00', '')],
  ])('%s: %s', async (type, value, expected) => {
    expect(await one(type, value)).toBe(expected);
  });

  test.each<[AerospikeOptions['keyType'], Cell, string]>([
    ['integer', '5', '01' + '0000000000000005'],
    ['integer', '9007199254740993', '01' + '0020000000000001'],
    ['integer', '7', '01' + '0000000000000007'],
    ['integer', '+7', 'not-an-integer'],
    ['integer', '007', 'not-an-integer'],
    ['integer', new LosslessNumber('7.0'), 'not-an-integer'],
    ['auto', new LosslessNumber('7.0'), 'not-an-integer'],
    ['integer', 'x', 'not-an-integer'],
    ['string', 5, `03${hex('5')}`],
    ['string', new LosslessNumber('1.10'), `03${hex('1.10')}`],
    ['string', [1], 'wrong-key-type'],
    ['bytes', 'AQI=', '040102'],
    ['auto', '5', `03${hex('5')}`],
    ['auto', new LosslessNumber('9007199254740993'), '01' + '0020000000000001'],
  ])('a key of type %s from %s', async (keyType, value, expected) => {
    const { records, rejects } = await send(['id', 'v'], [[value, 'x']], {
      ...(keyType && { keyType }),
      sendKey: true,
    });
    if (rejects.length > 0) return expect(rejects[0]!.code).toBe(expected);
    const field = Buffer.alloc(4);
    field.writeUInt32BE(expected.length / 2 + 1);
    expect(records[0]).toContain(`${field.toString('hex')}02${expected}`);
  });
});

describe('fields that are missing or null', () => {
  const cells: Cell[][] = [
    [1, 'a', undefined],
    [2, null, 'b'],
  ];
  const counts = ({ records }: Sent) => records.map((rest) => Number.parseInt(rest.slice(24, 28), 16));

  test('a missing one stays as it is; null removes the bin', async () => {
    const sent = await send(['id', 'x', 'y'], cells);
    expect(counts(sent)).toEqual([1, 2]);
    expect(sent.records[1]).toContain('0200000178');
  });

  test('where the whole record is new, null is left out', async () => {
    expect(counts(await send(['id', 'x', 'y'], cells, { mode: 'replace' }))).toEqual([1, 1]);
    const { rejects } = await send(['id', 'x'], [[1, null]], { mode: 'replace' });
    expect(rejects).toMatchObject([{ code: 'empty-record' }]);
  });
});

test('a record that says the same as the one before is told so in one byte', async () => {
  const { records } = await send(
    ['id', 'name'],
    [
      [1, ['x']],
      [2, ['x']],
      [3, ['y']],
      [4, ['y']],
    ],
  );
  expect(records.map((rest) => rest === 'repeat')).toEqual([true, false, true, false]);
});

test('a generation goes with each record, and one that is none is refused', async () => {
  const { records, rejects } = await send(
    ['id', 'gen', 'name'],
    [
      [1, 3, 'a'],
      [2, '65535', 'b'],
      [3, 0, 'c'],
      [4, 65_536, 'd'],
      [5, undefined, 'e'],
    ],
    { generation: 'gen', generationCheck: 'newer' },
  );
  expect(records.map((rest) => rest.slice(0, 12))).toEqual(['0e0009000003', '0e000900ffff']);
  expect(rejects.map(({ code, row }) => [code, row])).toEqual([
    ['bad-generation', 2],
    ['bad-generation', 3],
    ['bad-generation', 4],
  ]);
});

describe('what is planned', () => {
  async function planOf(intake: Partial<Intake>, options: Partial<AerospikeOptions> = {}) {
    await using server = await startEndpoint();
    await using sink = aerospike({ url: `aerospike://127.0.0.1:${server.port}/test/users`, key: 'id', ...options });
    return await sink.plan(
      { columns: ['id', 'a', 'b'], sample: [], textual: false, ignoreExtra: false, ...intake },
      context,
    );
  }

  test('every column but the key is a bin', async () => {
    const plan = await planOf({}, { ttl: 60 });
    expect(plan).toMatchObject({ columns: ['id', 'a', 'b'], others: [], notes: [] });
    expect(plan.statements).toEqual(['update test.users by key "id": bins a, b, TTL 60; 1 node']);
  });

  test('bins that are named may come later, and the key may be one', async () => {
    expect(await planOf({}, { bins: ['id', 'a', 'b', 'c'] })).toMatchObject({
      columns: ['id', 'a', 'b'],
      others: ['c'],
    });
    expect(await planOf({ ignoreExtra: true }, { bins: ['b'] })).toMatchObject({ columns: ['id', 'b'] });
  });

  test.each<[string, Partial<Intake>, Partial<AerospikeOptions>, string]>([
    ['the key is in no record', { columns: ['a'] }, {}, 'no-key-column'],
    ['the generation is in no record', {}, { generation: 'gen' }, 'no-generation-column'],
    ['a column that is no bin', {}, { bins: ['a'] }, 'unknown-column'],
    ['nothing but the key', { columns: ['id'] }, {}, 'no-bins'],
    ['a name of 16 bytes', { columns: ['id', 'sixteen_letters_'] }, {}, 'bin-name-too-long'],
    ['a name of 15 letters and 16 bytes', { columns: ['id', 'fünfzehn_lettrs'] }, {}, 'bin-name-too-long'],
  ])('%s is refused before anything is sent', async (_, intake, options, code) => {
    await expect(planOf(intake, options)).rejects.toMatchObject({ name: 'SinkError', code });
  });

  test('a name of 15 bytes is fine', async () => {
    expect((await planOf({ columns: ['id', 'fifteen_letters'] })).columns).toEqual(['id', 'fifteen_letters']);
  });

  test('keys of CSV that are all digits are pointed out', async () => {
    const sample = [['1', 'x', 'y']];
    expect((await planOf({ textual: true, sample })).notes).toEqual([expect.stringContaining('--key-type')]);
    expect((await planOf({ textual: true, sample }, { keyType: 'string' })).notes).toEqual([]);
    expect((await planOf({ textual: true, sample: [['x1', 'x', 'y']] })).notes).toEqual([]);
  });
});
