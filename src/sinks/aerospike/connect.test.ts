import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { generate } from 'selfsigned';
import { describe, expect, test } from 'vitest';
import { scratchFolder } from '../../../test/integration/sluice.js';
import {
  bitmap,
  type EndpointOptions,
  frame,
  messageTypes,
  startEndpoint,
} from '../../../test/sinks/aerospike/endpoint.js';
import type { Context, SinkPlan } from '../../contract/index.js';
import { type AerospikeOptions, aerospike } from './index.js';

const signal = new AbortController().signal;
const context: Context = { run: 'r', job: 'j', epoch: 1, signal, log: { debug() {}, info() {}, warn() {} } };
const intake = { columns: ['id', 'name'], sample: [], textual: false, ignoreExtra: false };

/** What `plan` says or throws. */
async function planOn(port: number, options: Partial<AerospikeOptions> = {}, login = ''): Promise<SinkPlan> {
  const url = `aerospike://${login}127.0.0.1:${port}/test/users`;
  await using sink = aerospike({ url, key: 'id', connectTimeout: 0.5, timeout: 0.3, ...options });
  return await sink.plan(intake, context);
}

async function planWith(options: EndpointOptions, more: Partial<AerospikeOptions> = {}, login = ''): Promise<SinkPlan> {
  await using endpoint = await startEndpoint(options);
  return await planOn(endpoint.port, more, login);
}

describe('no cluster to be had', () => {
  test('nothing listens: says where, why and what to do, once the time is over', async () => {
    const endpoint = await startEndpoint();
    await endpoint.stop();
    await expect(planOn(endpoint.port)).rejects.toMatchObject({
      name: 'SinkError',
      code: 'no-server',
      message: expect.stringMatching(/127\.0\.0\.1:\d+ within 0\.5 s: .*ECONNREFUSED.*Check host and port/),
    });
  });

  test('a server that takes connections and says nothing', async () => {
    await expect(planWith({ silent: true })).rejects.toMatchObject({
      code: 'no-server',
      message: expect.stringContaining('did not answer for 0.3 s'),
    });
  });

  test('a server that is starting is waited for', async () => {
    const readyAt = performance.now() + 250;
    const plan = await planWith({
      info: { 'partition-generation': () => (performance.now() < readyAt ? '-1' : '1') },
    });
    expect(plan.columns).toEqual(['id', 'name']);
    expect(performance.now()).toBeGreaterThan(readyAt);
  });

  test('a server that does not become ready', async () => {
    await expect(planWith({ info: { 'partition-generation': '-1' } })).rejects.toMatchObject({
      code: 'server-not-ready',
      message: expect.stringContaining('still starting'),
    });
  });

  test('partitions without a master', async () => {
    await expect(planWith({ info: { replicas: `test:0,1,${bitmap(0, 4000)};` } })).rejects.toMatchObject({
      code: 'server-not-ready',
      message: expect.stringContaining('96 partitions of namespace "test"'),
    });
  });

  test('an unknown namespace: names those there are, at once', async () => {
    const replicas = `other:0,1,${bitmap()};device:0,1,${bitmap()};`;
    await expect(planWith({ info: { replicas } }, { connectTimeout: 60 })).rejects.toMatchObject({
      name: 'SinkError',
      code: 'no-such-namespace',
      message: expect.stringContaining('"test", but other, device'),
    });
  });

  test.each([
    ['peers', { 'peers-clear-std': '1,3000,[[A' }],
    ['partitions', { replicas: 'test:0,1,AAAA;' }],
    ['a generation', { 'partition-generation': 'soon' }],
  ])('%s that can not be read', async (_, info) => {
    await expect(planWith({ info })).rejects.toMatchObject({ name: 'SinkError' });
  });

  test('is not waited for when the load is stopped', async () => {
    const endpoint = await startEndpoint();
    await endpoint.stop();
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('stopped')), 50);
    await using sink = aerospike({
      url: `aerospike://127.0.0.1:${endpoint.port}/test/users`,
      key: 'id',
      connectTimeout: 60,
    });
    await expect(sink.plan(intake, { ...context, signal: stop.signal })).rejects.toThrow();
  });
});

describe('users', () => {
  const answered = (code: number) => frame(messageTypes.admin, Buffer.from([0, code, 0, 0, ...Array(12).fill(0)]));

  test('a wrong password is told without it, and at once', async () => {
    const refusing: EndpointOptions = { onAdmin: (_, socket) => void socket.write(answered(65)) };
    const error: unknown = await planWith(refusing, { connectTimeout: 60 }, 'ann:hunter2@').catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({
      name: 'SinkError',
      code: 'access-refused',
      message: expect.stringContaining('"ann"'),
    });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hunter2');
  });

  test('a server without users lets everybody in', async () => {
    const plan = await planWith({ onAdmin: (_, socket) => void socket.write(answered(52)) }, {}, 'ann:secret@');
    expect(plan.columns).toEqual(['id', 'name']);
  });
});

describe('TLS', () => {
  test('the nodes are spoken to under the name of their certificate', async () => {
    await using folder = await scratchFolder();
    const made = await generate([{ name: 'commonName', value: 'node.example' }], {
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'node.example' }] }],
    });
    const ca = join(folder.path, 'ca.pem');
    await writeFile(ca, made.cert);
    await using endpoint = await startEndpoint({
      server: (connected) => createTlsServer({ cert: made.cert, key: made.private }, connected),
    });
    const planAs = async (name: string, tls: AerospikeOptions['tls']) => {
      const url = `aerospike://127.0.0.1:${name}${endpoint.port}/test/users`;
      await using sink = aerospike({ url, key: 'id', tls, connectTimeout: 0.3 });
      return await sink.plan(intake, context);
    };
    expect((await planAs('node.example:', { ca })).columns).toEqual(['id', 'name']);
    expect(endpoint.asked).toContain('peers-tls-std');
    await expect(planAs('', { ca })).rejects.toMatchObject({ code: 'no-server' });
    await expect(planAs('node.example:', true)).rejects.toMatchObject({ code: 'no-server' });
    await expect(planAs('node.example:', { ca: join(folder.path, 'none') })).rejects.toMatchObject({
      code: 'no-tls-file',
    });
  });
});

test('everything is closed in the end', async () => {
  await using endpoint = await startEndpoint();
  await planOn(endpoint.port);
  for (let i = 0; i < 50 && endpoint.connections > 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(endpoint.connections).toBe(0);
});
