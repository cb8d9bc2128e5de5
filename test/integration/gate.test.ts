import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { load, type Snapshot } from '../../src/index.js';
import { postgres } from '../../src/sinks/postgres/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';

let db: ScratchDatabase;
let folder: string;
const role = `sluice_gate_${process.pid}`;

beforeEach(async () => {
  db = await scratchDatabase();
  folder = await mkdtemp(join(tmpdir(), 'sluice-gate-'));
  await db.client.query('CREATE TABLE t (id int PRIMARY KEY, name text)');
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const records = (rows: number) =>
  Array.from({ length: rows }, (_, i) => ({ id: i, name: `number ${i} ${'x'.repeat(900)}` }));

describe('a load without a number of workers', () => {
  test('begins with cores x 2, and a short one leaves it at that', async () => {
    const report = await load({ source: iterable(records(2_000)), sink: postgres({ url: db.url, table: 't' }) });
    const { start, least, most } = report.gate.workers;
    expect([least, most]).toEqual([start, start]);
    expect(report.gate).toMatchObject({ changes: [], leftOut: 0, trials: 0 });
  });

  test('has fewer at once when the server turns connections away, and loses nothing', async () => {
    const { client } = db;
    await client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT ALL ON t TO ${role}`);
    await client.query(`GRANT CREATE ON DATABASE ${new URL(db.url).pathname.slice(1)} TO ${role}`);
    try {
      const url = new URL(db.url);
      url.username = role;
      url.password = 'secret';
      const begun = new EventEmitter();
      const asked = once(begun, 'begun');
      async function* narrowing() {
        yield* records(2_000);
        // Reading goes on while the server is asked how many are free.
        await asked;
        await client.query(`ALTER ROLE ${role} CONNECTION LIMIT 3`);
        for (let id = 2_000; id < 40_000; id++) yield { id, name: `number ${id} ${'x'.repeat(900)}` };
      }
      const shown: Snapshot[] = [];
      const sink = postgres({ url: url.href, table: 't' });
      const report = await load({
        source: iterable(narrowing()),
        sink,
        batchRows: 500,
        runDir: folder,
        onBegin: () => begun.emit('begun'),
        onProgress: (snapshot) => shown.push(snapshot),
      });
      expect(report).toMatchObject({ status: 'complete', read: 40_000, written: 40_000 });
      const { start } = report.gate.workers;
      expect(report.gate.changes[0]).toMatchObject({ of: 'workers', from: start, to: Math.floor(start / 2) });
      expect(report.gate.changes[0]?.reason).toMatch(/^53300 /);
      expect(JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')).gate).toEqual(report.gate);
      expect(shown.some(({ gateChange }) => gateChange?.startsWith(`workers ${start} -> `))).toBe(true);
    } finally {
      await client.query(`DROP OWNED BY ${role}; DROP SCHEMA IF EXISTS sluice CASCADE; DROP ROLE ${role}`);
    }
  });

  test('keeps to the most it was given', async () => {
    const sink = postgres({ url: db.url, table: 't' });
    let most = 0;
    const onProgress = ({ workers }: Snapshot) => {
      most = Math.max(most, workers);
    };
    const report = await load({ source: iterable(records(20_000)), sink, maxWorkers: 3, onProgress });
    expect(report.gate.workers.most).toBeLessThanOrEqual(3);
    expect(most).toBe(3);
  });

  test.each([
    ['maxWorkers', { maxWorkers: 0 }],
    ['batchTime', { batchTime: 0 }],
    ['batchTime', { batchTime: Number.NaN }],
  ])('refuses a %s that is none', async (name, option) => {
    const loading = load({ source: iterable([]), sink: postgres({ url: db.url, table: 't' }), ...option });
    await expect(loading).rejects.toMatchObject({ code: 'bad-option', message: expect.stringContaining(name) });
  });
});

test('a number of workers that is given stays', async () => {
  const sink = postgres({ url: db.url, table: 't' });
  const report = await load({ source: iterable(records(20_000)), sink, workers: 5, batchRows: 100 });
  expect(report.gate.workers).toEqual({ start: 5, end: 5, least: 5, most: 5 });
});
