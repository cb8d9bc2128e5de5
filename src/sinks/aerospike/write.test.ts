import { describe, expect, test } from 'vitest';
import {
  answer,
  batchAnswer,
  bitmap,
  type Endpoint,
  type EndpointOptions,
  frame,
  messageTypes,
  recordsOf,
  startEndpoint,
} from '../../../test/sinks/aerospike/endpoint.js';
import { decodedBatch } from '../../../test/sinks/postgres/batches.js';
import type { Batch, Cell, Context, Sink } from '../../contract/index.js';
import { InDoubt, NotWritten } from '../../errors.js';
import { writeBatch } from '../../flow/writer.js';
import { type AerospikeOptions, aerospike } from './index.js';
import { KeyDigest } from './wire/key.js';

const columns = ['id', 'name'];

function contextOf(signal: AbortSignal = new AbortController().signal): Context {
  return { run: 'r', job: 'j', epoch: 1, signal, log: { debug() {}, info() {}, warn() {} } };
}

async function opened(ports: readonly number[], options: Partial<AerospikeOptions> = {}): Promise<Sink> {
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  const sink = aerospike({
    url: `aerospike://${hosts}/test/users`,
    key: 'id',
    timeout: 0.5,
    connectTimeout: 1,
    ...options,
  });
  try {
    await sink.plan({ columns, sample: [], textual: false, ignoreExtra: true }, contextOf());
    await sink.open(contextOf());
  } catch (error) {
    await sink[Symbol.asyncDispose]();
    throw error;
  }
  return sink;
}

const rows = (n: number, from = 0): Cell[][] => Array.from({ length: n }, (_, i) => [from + i, `n${from + i}`]);
const batchOf = (records: readonly (readonly Cell[])[]): Batch => decodedBatch(columns, records);

function digestOf(key: number | string): string {
  const digest = new KeyDigest('users');
  digest.digest(key);
  return Buffer.from(digest.words.buffer).toString('hex');
}

/** An endpoint whose batches are answered by `codes`, one call a batch; what it is asked is kept. */
async function answering(
  codes: (digests: string[], call: number) => Buffer | number[],
  options: EndpointOptions = {},
): Promise<Endpoint & { readonly batches: string[][] }> {
  const batches: string[][] = [];
  const endpoint = await startEndpoint({
    ...options,
    onRecords(message, socket) {
      const digests = recordsOf(message).map(({ digest }) => digest);
      batches.push(digests);
      const answers = codes(digests, batches.length);
      socket.write(Array.isArray(answers) ? batchAnswer(answers) : answers);
    },
  });
  return Object.assign(endpoint, { batches });
}

const backoff = { first: 5, longest: 20, total: 3_000 };

/** Writes as the flow does: again after a pause, as the sink asks. */
async function write(sink: Sink, batch: Batch): Promise<{ result: unknown; retries: unknown[] }> {
  const retries: unknown[] = [];
  let result: unknown;
  await writeBatch(sink, batch, contextOf(), backoff, {
    settled: (_, settled) => {
      result = settled;
    },
    retried: (error) => retries.push(error),
  });
  return { result, retries };
}

describe('what was answered', () => {
  test('each record has its own result: written, or rejected by a name and a reason', async () => {
    await using server = await answering((digests) =>
      digests.map((digest) => (digest === digestOf(3) ? 13 : digest === digestOf(4) ? 99 : 0)),
    );
    await using sink = await opened([server.port]);
    const { result } = await write(sink, batchOf(rows(6)));
    expect(result).toMatchObject({
      written: 4,
      rejects: [
        { row: 3, code: 'record-too-big', reason: expect.stringContaining('max-record-size') },
        { row: 4, code: 'result-99', reason: expect.stringContaining('99') },
      ],
    });
  });

  test.each([
    [9, 'server-timeout', 'retry'],
    [11, 'partition-unavailable', 'retry'],
    [14, 'key-busy', 'retry'],
    [18, 'device-overload', 'throttled'],
    [8, 'out-of-space', 'throttled'],
    [20, 'no-such-namespace', 'fatal'],
    [22, 'forbidden', 'fatal'],
    [81, 'no-permission', 'fatal'],
  ])('result %i of some records is %s: %s', async (code, name, verdict) => {
    await using server = await answering((digests) => digests.map((digest) => (digest === digestOf(1) ? code : 0)));
    await using sink = await opened([server.port]);
    const error: unknown = await sink.write(batchOf(rows(3)), contextOf()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InDoubt);
    expect(error).toMatchObject({ code: name, message: expect.stringContaining('1 of 3 records') });
    expect(sink.classify(error)).toBe(verdict);
  });

  test('only what was not written is written again', async () => {
    await using server = await answering((digests, call) =>
      digests.map((_, i) => (call === 1 && i % 2 === 1 ? 18 : 0)),
    );
    await using sink = await opened([server.port]);
    const { result, retries } = await write(sink, batchOf(rows(100)));
    expect(result).toMatchObject({ written: 100, unchanged: 0, duplicate: 0, rejects: [] });
    expect(retries).toHaveLength(1);
    expect(server.batches.map((batch) => batch.length)).toEqual([100, 50]);
    expect(new Set(server.batches.flat()).size).toBe(100);
  });

  test('a result for the whole batch holds for every record', async () => {
    await using server = await answering((_, call) =>
      call === 1 ? frame(messageTypes.record, answer(0, 152, true)) : Array<number>(3).fill(0),
    );
    await using sink = await opened([server.port]);
    const { result, retries } = await write(sink, batchOf(rows(3)));
    expect(result).toMatchObject({ written: 3 });
    expect(retries).toEqual([expect.objectContaining({ code: 'batch-queues-full' })]);
  });

  test('answers may come in any order, and in many frames', async () => {
    await using server = await answering((digests) =>
      Buffer.concat([
        ...digests.map((_, i) => frame(messageTypes.record, answer(digests.length - 1 - i, i === 0 ? 5 : 0))),
        frame(messageTypes.record, answer(0, 0, true)),
      ]),
    );
    await using sink = await opened([server.port], { mode: 'create-only' });
    const { result } = await write(sink, batchOf(rows(50)));
    expect(result).toMatchObject({ written: 49, rejects: [{ row: 49, code: 'exists' }] });
  });
});

describe('a key that comes more than once', () => {
  const twice: Cell[][] = [
    [1, 'first'],
    [2, 'b'],
    [1, 'second'],
    ['1', 'a text'],
    [1n, 'third'],
  ];

  test('is sent once a batch: the last counts', async () => {
    await using server = await answering((digests) => digests.map(() => 0));
    await using sink = await opened([server.port]);
    const { result } = await write(sink, batchOf(twice));
    expect(result).toMatchObject({ written: 3, duplicate: 2, rejects: [] });
    expect(server.batches[0]).toHaveLength(3);
    expect(new Set(server.batches[0])).toEqual(new Set([digestOf(1), digestOf(2), digestOf('1')]));
  });

  test('when only new records are wanted, the first counts', async () => {
    const rest: string[] = [];
    await using server = await startEndpoint({
      onRecords(message, socket) {
        const records = recordsOf(message);
        rest.push(...records.filter(({ digest }) => digest === digestOf(1)).map((record) => record.rest));
        socket.write(batchAnswer(records.map(() => 0)));
      },
    });
    await using sink = await opened([server.port], { mode: 'create-only' });
    expect((await write(sink, batchOf(twice))).result).toMatchObject({ written: 3, duplicate: 2 });
    expect(rest).toEqual([expect.stringContaining(Buffer.from('first').toString('hex'))]);
  });

  test('one that is refused gives way to the one before it', async () => {
    await using server = await answering((digests, call) =>
      digests.map((digest) => (call === 1 && digest === digestOf(1) ? 13 : 0)),
    );
    await using sink = await opened([server.port]);
    const { result } = await write(sink, batchOf([...twice, [1, Number.NaN]]));
    expect(result).toMatchObject({
      written: 3,
      duplicate: 1,
      rejects: [
        { row: 4, code: 'record-too-big' },
        { row: 5, code: 'not-a-number', column: 'name' },
      ],
    });
  });
});

describe('answers that are cut off or lie', () => {
  const good = (n: number) => batchAnswer(Array<number>(n).fill(0));

  test('a server that closes in the middle of an answer: what it had answered is not sent again', async () => {
    const sizes: number[] = [];
    await using server = await startEndpoint({
      onRecords(message, socket) {
        const { length } = recordsOf(message);
        sizes.push(length);
        if (sizes.length > 1) return void socket.write(good(length));
        const part = Buffer.concat([
          frame(messageTypes.record, Buffer.concat([answer(0, 0), answer(1, 0)])),
          good(length).subarray(0, 40),
        ]);
        socket.write(part, () => socket.destroy());
      },
    });
    await using sink = await opened([server.port]);
    const { result, retries } = await write(sink, batchOf(rows(10)));
    expect(result).toMatchObject({ written: 10, rejects: [] });
    expect(sizes).toEqual([10, 8]);
    expect(retries).toHaveLength(1);
    expect(retries[0]).toBeInstanceOf(InDoubt);
    expect(sink.classify(retries[0])).toBe('retry');
  });

  test.each<[string, (n: number) => Buffer]>([
    [
      'a record that was not asked',
      (n) => frame(messageTypes.record, Buffer.concat([answer(n, 0), answer(0, 0, true)])),
    ],
    [
      'the same record twice',
      () => frame(messageTypes.record, Buffer.concat([answer(0, 0), answer(0, 0), answer(0, 0, true)])),
    ],
    ['too few records', () => frame(messageTypes.record, Buffer.concat([answer(0, 0), answer(0, 0, true)]))],
    ['a length of many terabytes', () => Buffer.from([2, 3, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 22])],
    ['a header of another size', () => frame(messageTypes.record, Buffer.alloc(22, 21))],
    ['a frame of another kind', () => frame(messageTypes.info, Buffer.from('node\tA\n'))],
    ['an unknown version', () => Buffer.from([9, 3, 0, 0, 0, 0, 0, 0])],
  ])('%s: the connection is given up, and the batch tried again', async (_, lie) => {
    const sizes: number[] = [];
    await using server = await startEndpoint({
      onRecords(message, socket) {
        const { length } = recordsOf(message);
        sizes.push(length);
        socket.write(sizes.length === 1 ? lie(length) : good(length));
      },
    });
    await using sink = await opened([server.port]);
    const { result, retries } = await write(sink, batchOf(rows(5)));
    expect(result).toMatchObject({ written: 5, unchanged: 0, rejects: [] });
    expect(retries).toEqual([expect.objectContaining({ code: 'protocol-fault' })]);
    expect(sizes).toHaveLength(2);
  });

  test('something behind the end: the connection is given up, and what was answered stands', async () => {
    let calls = 0;
    await using server = await startEndpoint({
      onRecords(message, socket) {
        calls += 1;
        const behind = Buffer.concat([good(recordsOf(message).length).subarray(8), answer(0, 0)]);
        socket.write(frame(messageTypes.record, behind));
      },
    });
    await using sink = await opened([server.port]);
    const { result, retries } = await write(sink, batchOf(rows(5)));
    expect(result).toMatchObject({ written: 5 });
    expect(retries).toEqual([expect.objectContaining({ code: 'protocol-fault' })]);
    expect(calls).toBe(1);
  });

  test('a server that falls silent is given up after the timeout, and its records are in doubt', async () => {
    let calls = 0;
    await using server = await startEndpoint({
      onRecords(message, socket) {
        calls += 1;
        if (calls > 1) socket.write(good(recordsOf(message).length));
      },
    });
    await using sink = await opened([server.port]);
    const { result, retries } = await write(sink, batchOf(rows(5)));
    expect(result).toMatchObject({ written: 5 });
    expect(retries).toEqual([expect.objectContaining({ code: 'node-timeout' })]);
    expect(retries[0]).toBeInstanceOf(InDoubt);
  });

  test('a record in doubt that then exists already was ours, and is no reject', async () => {
    let calls = 0;
    await using server = await startEndpoint({
      onRecords(message, socket) {
        calls += 1;
        if (calls === 1) return void socket.destroy();
        socket.write(batchAnswer(recordsOf(message).map((_, i) => (i === 0 ? 5 : 0))));
      },
    });
    await using sink = await opened([server.port], { mode: 'create-only' });
    const { result } = await write(sink, batchOf(rows(3)));
    expect(result).toMatchObject({ written: 2, unchanged: 1, rejects: [] });
  });

  test('a connection that was lost while it rested costs nothing', async () => {
    await using server = await answering((digests) => digests.map(() => 0));
    await using sink = await opened([server.port]);
    expect((await write(sink, batchOf(rows(2)))).retries).toEqual([]);
    await server.drop();
    expect((await write(sink, batchOf(rows(2, 5)))).retries).toEqual([]);
  });
});

describe('a cluster', () => {
  /** Two nodes that know each other: the first is master of the partitions below `border`, the second of the rest. */
  async function twoNodes(onRecords: (node: number, digests: string[]) => number[]) {
    const state = { border: 2048, generation: 1 };
    const batches: [string[], string[]] = [[], []];
    const ports: number[] = [];
    const make = (node: number) =>
      startEndpoint({
        info: {
          node: `N${node}`,
          'partition-generation': () => String(state.generation),
          'peers-clear-std': () => `1,3000,[[N${1 - node},,[127.0.0.1:${ports[1 - node]}]]]`,
          replicas: () => `test:0,1,${node === 0 ? bitmap(0, state.border) : bitmap(state.border)};`,
        },
        onRecords(message, socket) {
          const digests = recordsOf(message).map(({ digest }) => digest);
          batches[node]!.push(...digests);
          socket.write(batchAnswer(onRecords(node, digests)));
        },
      });
    const nodes = [await make(0), await make(1)] as const;
    ports.push(nodes[0].port, nodes[1].port);
    return {
      nodes,
      state,
      batches,
      async [Symbol.asyncDispose]() {
        for (const node of nodes) await node.stop();
      },
    };
  }

  const partitionOf = (digest: string) => Buffer.from(digest, 'hex').readUInt16LE() & 4095;

  test('is found through one of its nodes; each record goes to the master of its partition', async () => {
    await using cluster = await twoNodes((_, digests) => digests.map(() => 0));
    await using sink = await opened([cluster.nodes[0].port]);
    expect((await write(sink, batchOf(rows(500)))).result).toMatchObject({ written: 500 });
    const [first, second] = cluster.batches;
    expect(first.length + second.length).toBe(500);
    expect(first.every((digest) => partitionOf(digest) < 2048)).toBe(true);
    expect(second.every((digest) => partitionOf(digest) >= 2048)).toBe(true);
  });

  test('a partition that has moved: its records follow it, the others are not sent again', async () => {
    const moved = { yet: false };
    await using cluster = await twoNodes((node, digests) =>
      digests.map((digest) => (moved.yet && node === 0 && partitionOf(digest) >= 1024 ? 11 : 0)),
    );
    await using sink = await opened([cluster.nodes[0].port]);
    moved.yet = true;
    cluster.state.border = 1024;
    cluster.state.generation = 2;
    const { result, retries } = await write(sink, batchOf(rows(500)));
    expect(result).toMatchObject({ written: 500, rejects: [] });
    expect(retries[0]).toMatchObject({ code: 'partition-unavailable' });
    const below = cluster.batches[0].filter((digest) => partitionOf(digest) < 1024);
    expect(new Set(below).size).toBe(below.length);
  });

  test('a node that dies: its records go to the one that takes its partitions over', async () => {
    await using cluster = await twoNodes((_, digests) => digests.map(() => 0));
    await using sink = await opened([cluster.nodes[0].port]);
    await cluster.nodes[1].stop();
    setTimeout(() => {
      cluster.state.border = 4096;
      cluster.state.generation = 2;
    }, 300);
    const { result, retries } = await write(sink, batchOf(rows(500)));
    expect(result).toMatchObject({ written: 500, rejects: [] });
    expect(retries.length).toBeGreaterThan(0);
    expect(new Set(cluster.batches[0]).size).toBe(500);
  });

  test('an alternate address is asked for where it is wanted', async () => {
    await using server = await answering((digests) => digests.map(() => 0));
    await using sink = await opened([server.port], { alternate: true });
    expect((await write(sink, batchOf(rows(2)))).result).toMatchObject({ written: 2 });
    expect(server.asked).toContain('peers-clear-alt');
    expect(server.asked).not.toContain('peers-clear-std');
  });
});

describe('a server older than 6.0', () => {
  test('gets single puts, one behind another on a connection, and answers them in order', async () => {
    let puts = 0;
    let most = 0;
    await using server = await startEndpoint({
      info: { build: '5.7.0.1', features: 'pscans;peers;replicas' },
      onRecords(message, socket) {
        most = Math.max(most, message.length);
        puts += 1;
        socket.write(frame(messageTypes.record, answer(0, puts === 3 ? 13 : 0)));
      },
    });
    const sink = aerospike({ url: `aerospike://127.0.0.1:${server.port}/test/users`, key: 'id' });
    await using _ = sink;
    const plan = await sink.plan({ columns, sample: [], textual: false, ignoreExtra: false }, contextOf());
    expect(plan.notes).toEqual([expect.stringContaining('6.0')]);
    await sink.open(contextOf());
    const { result } = await write(sink, batchOf(rows(20)));
    // From the end, so that of rows with one key the last is the first to be met.
    expect(result).toMatchObject({ written: 19, rejects: [{ row: 17, code: 'record-too-big' }] });
    expect(puts).toBe(20);
    expect(most).toBeLessThan(150);
  });
});

describe('an abort', () => {
  test('ends what waits for an answer at once, and says that it is in doubt', async () => {
    await using server = await startEndpoint({ onRecords() {} });
    await using sink = await opened([server.port], { timeout: 30 });
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('stopped')), 100);
    const start = performance.now();
    const error: unknown = await sink
      .write(batchOf(rows(3)), contextOf(stop.signal))
      .catch((thrown: unknown) => thrown);
    expect(performance.now() - start).toBeLessThan(2_000);
    expect(error).toBeInstanceOf(InDoubt);
    expect(error).toMatchObject({ code: 'aborted' });
  });

  test('nothing was sent: nothing is in doubt', async () => {
    await using server = await answering((digests) => digests.map(() => 0));
    await using sink = await opened([server.port]);
    await server.stop();
    const error: unknown = await sink.write(batchOf(rows(3)), contextOf()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NotWritten);
    expect(sink.classify(error)).toBe('retry');
  });
});
