import { afterEach, describe, expect, test } from 'vitest';
import type { Snapshot } from '../../contract/index.js';
import { type Health, serveHealth } from './health.js';

let health: Health;
let time = 0;

afterEach(() => health[Symbol.asyncDispose]());

async function start(): Promise<Health> {
  time = 0;
  health = await serveHealth('0', { now: () => time, stuckAfter: 60_000 });
  return health;
}

async function ask(path = '/health', method = 'GET'): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${health.port}${path}`, { method });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

const snapshot = (settled: number, read = settled): Snapshot => ({
  read,
  written: settled,
  unchanged: 0,
  duplicate: 0,
  rejected: 0,
  skipped: 0,
  settled,
  bytes: settled,
  seconds: 1,
  inFlight: 0,
  workers: 1,
  gateChange: undefined,
  retries: 0,
  totalRows: undefined,
  shareRead: undefined,
});

describe('the health of a run', () => {
  test('is told with its state and its progress', async () => {
    await start();
    expect(await ask()).toMatchObject({
      status: 200,
      body: { healthy: true, state: 'starting', run: null, progress: null },
    });
    health.begun('r1');
    health.update(snapshot(70));
    time = 4_000;
    expect(await ask()).toMatchObject({
      status: 200,
      body: { healthy: true, state: 'running', run: 'r1', secondsSinceProgress: 4, progress: { settled: 70 } },
    });
  });

  test('is bad when nothing moved for long, and good again when something does', async () => {
    await start();
    health.begun('r1');
    health.update(snapshot(70));
    time = 60_001;
    health.update(snapshot(70));
    expect(await ask()).toMatchObject({ status: 503, body: { healthy: false, state: 'running' } });
    health.update(snapshot(70, 71));
    expect(await ask()).toMatchObject({ status: 200, body: { secondsSinceProgress: 0 } });
  });

  test('is bad when it did not even begin for long, but not while it waits for another process', async () => {
    await start();
    time = 60_001;
    expect(await ask()).toMatchObject({ status: 503, body: { state: 'starting' } });
    health.waiting();
    time = 600_000;
    expect(await ask()).toMatchObject({ status: 200, body: { state: 'waiting' } });
  });

  test.each([
    ['failed', 503],
    ['incomplete', 503],
    ['too-many-rejects', 503],
    ['complete', 200],
    ['complete-with-rejects', 200],
    ['interrupted', 200],
  ] as const)('of one that ended as %s is %d', async (status, code) => {
    await start();
    health.ended(status);
    time = 600_000;
    expect(await ask()).toMatchObject({ status: code, body: { state: status } });
    expect((await ask('/health', 'HEAD')).status).toBe(code);
  });

  test('is all that is told', async () => {
    await start();
    expect((await ask('/')).status).toBe(404);
    expect((await ask('/health/x')).status).toBe(404);
    expect((await ask('/health', 'POST')).status).toBe(404);
  });

  test('is not asked for where no port is given, and a port that is none, or taken, is refused', async () => {
    await start();
    const none = await serveHealth(undefined);
    expect(none.port).toBeUndefined();
    for (const port of ['http', '-1', '70000']) {
      await expect(serveHealth(port)).rejects.toMatchObject({ code: 'bad-usage' });
    }
    await expect(serveHealth(String(health.port))).rejects.toMatchObject({ code: 'port-taken' });
  });
});
