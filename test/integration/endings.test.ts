import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { dryRun, type Log, load, type Source } from '../../src/index.js';
import { postgres } from '../../src/sinks/postgres/index.js';
import { file } from '../../src/sources/file/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';

let db: ScratchDatabase;
let folder: string;

beforeEach(async () => {
  db = await scratchDatabase();
  folder = await mkdtemp(join(tmpdir(), 'sluice-endings-'));
  await db.client.query('CREATE TABLE t (id int, t text)');
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const into = (table = 't') => postgres({ url: db.url, table });

/** Keeps what is logged. */
function keeping(): Log & { readonly lines: [level: string, fields: object, message: string][] } {
  const lines: [string, object, string][] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push([level, fields, message]);
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn') };
}

/** A source that counts how often it was disposed, or throws instead. */
function counting(error?: Error): Source & { readonly closed: number } {
  let closed = 0;
  return {
    ...iterable([{ id: 1, t: 'a' }]),
    get closed() {
      return closed;
    },
    async [Symbol.asyncDispose]() {
      closed++;
      if (error) throw error;
    },
  };
}

describe.runIf(existsSync('/proc/self/fd'))('a file that was opened', () => {
  async function openFiles(): Promise<number> {
    const links = await Promise.all(
      (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    return links.filter((path) => path.startsWith(folder)).length;
  }

  test.each([
    ['a dry run', () => dryRun({ source: file({ path: join(folder, 'a.csv') }), sink: into() })],
    [
      'a failed plan',
      () => load({ source: file({ path: join(folder, 'a.csv') }), sink: into('nowhere') }).catch(() => {}),
    ],
  ])('is closed after %s', async (_, run) => {
    await writeFile(join(folder, 'a.csv'), `id,t\n${'1,abcdefghijklmnopqrstuvwxyz\n'.repeat(100_000)}`);
    await run();
    await vi.waitFor(async () => expect(await openFiles()).toBe(0));
  });
});

test('the sample is bounded by bytes, too', async () => {
  let read = 0;
  function* wide() {
    for (let id = 0; id < 500; id++) {
      read = id;
      yield { id, t: 'x'.repeat(400_000) };
    }
  }
  await dryRun({ source: iterable(wide()), sink: into() });
  expect(read).toBeLessThan(50);
});

describe('source and sink', () => {
  test('are let go of when an option is wrong', async () => {
    const source = counting();
    await expect(load({ source, sink: into(), workers: 0 })).rejects.toMatchObject({ code: 'bad-option' });
    expect(source.closed).toBe(1);
  });

  test('that can not be closed cost a problem, not the report of what is committed', async () => {
    const report = await load({ source: counting(new Error('close failed')), sink: into(), runDir: folder });
    expect(report).toMatchObject({ status: 'complete', written: 1, problems: [{ name: 'close-failed', count: 1 }] });
    expect(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'))).toEqual(report);
  });
});

test('onProgress that throws is told once, and the load goes on', async () => {
  async function* slow() {
    for (let id = 0; id < 5; id++) {
      yield { id, t: 'x' };
      await sleep(100);
    }
  }
  const log = keeping();
  const onProgress = vi.fn(() => {
    throw new Error('from onProgress');
  });
  expect(await load({ source: iterable(slow()), sink: into(), onProgress, log })).toMatchObject({ written: 5 });
  expect(onProgress).toHaveBeenCalledOnce();
  expect(log.lines.filter(([, , message]) => message.startsWith('onProgress threw'))).toHaveLength(1);
});

test('the log of level debug tells of every batch', async () => {
  const log = keeping();
  const records = Array.from({ length: 10 }, (_, id) => ({ id, t: 'x' }));
  const report = await load({ source: iterable(records), sink: into(), batchRows: 5, log });
  const batches = log.lines.filter(([level, , message]) => level === 'debug' && message === 'a batch is written');
  expect(batches).toHaveLength(report.batches);
  expect(batches[0]![1]).toMatchObject({ rows: 5, bytes: expect.any(Number), ms: expect.any(Number) });
});
