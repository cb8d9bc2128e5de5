import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { globSync } from 'tinyglobby';
import { describe, expect, test } from 'vitest';
import type { Batch, Cell, Checkpoint, Context, Reject, Sink, SinkPlan, Span } from '../../src/index.js';
import { type LoadError, load } from '../../src/index.js';
import { fileLedger } from '../../src/ledger/file-ledger.js';
import { mayBeAlive, thisHolder } from '../../src/ledger/holder.js';
import { type PostgresOptions, postgres } from '../../src/sinks/postgres/index.js';
import { file } from '../../src/sources/file/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { scratchDatabase } from '../servers/database.js';
import { scratchFolder } from './sluice.js';

const never = new AbortController().signal;
const part = (path: string) => JSON.stringify(resolve('dist', path));

/** A program of its own, run as a module; its lines as they come. */
class Program {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  readonly ended: Promise<unknown>;
  #errors = '';

  constructor(code: string, under: readonly string[] = []) {
    const [command = process.execPath, ...args] = [...under, process.execPath, '--input-type=module', '-e', code];
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    this.process.stdout!.setEncoding('utf8').on('data', (more: string) => {
      const lines = (text + more).split('\n');
      text = lines.pop()!;
      this.lines.push(...lines);
    });
    this.process.stderr!.setEncoding('utf8').on('data', (more: string) => {
      this.#errors += more;
    });
    this.ended = once(this.process, 'close');
  }

  async until(seen: (lines: readonly string[]) => boolean): Promise<void> {
    while (!seen(this.lines)) {
      if (this.process.exitCode !== null) throw new Error(`it ended early: ${this.#errors}`);
      await sleep(5);
    }
  }
}

/** Goes on with the job's latest run and settles without end, four at a time; says each `from` once it is settled. */
const settling = (folder: string) => `
import { writeSync } from 'node:fs';
import { fileLedger } from ${part('ledger/file-ledger.js')};
import { mayBeAlive, thisHolder } from ${part('ledger/holder.js')};
const { signal } = new AbortController();
const ledger = fileLedger(${JSON.stringify(folder)});
const { run, epoch, spans } = await ledger.begin({ run: 'r1', job: 'job', resume: 'latest', source: 's', sink: 's',
  holder: thisHolder('r1'), mayBeAlive, columns: [], fingerprints: {} }, signal);
const context = { run, job: 'job', epoch, signal, log: { debug() {}, info() {}, warn() {} } };
let next = Math.max(0, ...spans.map(({ from, rows }) => from + rows));
const work = async () => {
  for (;;) {
    const from = next;
    next += 10;
    await ledger.settle([{ split: 's', from, rows: 10, next: { row: from + 10, token: from } }],
      [{ split: 's', row: from, code: 'X', reason: 'no', record: 'x'.repeat(from % 300) }], context);
    writeSync(1, from + '\\n');
  }
};
try {
  await Promise.all([work(), work(), work(), work()]);
} catch (error) {
  writeSync(1, error.code + '\\n');
}`;

const numbers = (lines: readonly string[]) => lines.filter((line) => /^\d+$/.test(line)).map(Number);

/** Everything said to be settled is; what else is was on its way; each has its reject. */
async function expectKept(folder: string, { spans, rejected }: Checkpoint, said: readonly number[]): Promise<void> {
  const kept = new Set(spans.map(({ from }) => from));
  expect(said.filter((from) => !kept.has(from))).toEqual([]);
  expect(kept.size).toBe(spans.length);
  expect(spans.every(({ from, rows, next }) => rows === 10 && next.row === from + 10 && next.token === from)).toBe(
    true,
  );
  const rejects: Reject[] = [];
  for await (const reject of fileLedger(folder).rejects('r1', never)) rejects.push(reject);
  expect(rejects.map(({ row }) => row)).toEqual([...kept].sort((a, b) => a - b));
  expect(rejected).toBe(rejects.length);
}

const taking = (folder: string) =>
  fileLedger(folder).begin(
    {
      ...{ run: 'r2', job: 'job', resume: 'latest', source: 's', sink: 's', holder: thisHolder('r2'), mayBeAlive },
      ...{ columns: [], fingerprints: {} },
    },
    never,
  );

describe('a ledger in a folder', () => {
  test('has all that was settled when its process was killed, and lets the next one in at once', async () => {
    await using folder = await scratchFolder();
    const said: number[] = [];
    for (let round = 0; round < 6; round++) {
      const program = new Program(settling(folder.path));
      await program.until((lines) => lines.length > round * 5);
      await sleep(round * 7);
      program.process.kill('SIGKILL');
      await program.ended;
      said.push(...numbers(program.lines));
    }
    const checkpoint = await taking(folder.path);
    expect(checkpoint).toMatchObject({ run: 'r1', resumed: true, epoch: 7 });
    await expectKept(folder.path, checkpoint, said);
    expect(checkpoint.spans.length - said.length).toBeLessThanOrEqual(6 * 4);
  });

  test('fences a holder that was stopped, taken over, and wakes up', async () => {
    await using folder = await scratchFolder();
    const program = new Program(settling(folder.path));
    await program.until((lines) => lines.length > 10);
    await expect(taking(folder.path)).rejects.toMatchObject({
      code: 'job-held',
      message: expect.stringContaining(String(program.process.pid)),
    });
    program.process.kill('SIGSTOP');
    const before = new Date(Date.now() - 16_000);
    for (const turn of globSync('*/turns/*', { cwd: folder.path, absolute: true })) await utimes(turn, before, before);
    const checkpoint = await taking(folder.path);
    program.process.kill('SIGCONT');
    await program.ended;
    expect(program.lines.at(-1)).toBe('taken-over');
    await expectKept(folder.path, checkpoint, numbers(program.lines));
    const found = await fileLedger(folder.path).find({ job: 'job', resume: 'latest' }, never);
    expect(found?.spans).toEqual(checkpoint.spans);
  });

  test('that may grow no further fails the settling, tears nothing, and is whole for the next one', async () => {
    await using folder = await scratchFolder();
    // The system's bound on a file's size, in blocks of 512 bytes: it cuts the write that meets it.
    const program = new Program(settling(folder.path), ['sh', '-c', 'ulimit -f 40; exec "$@"', 'sh']);
    await program.ended;
    expect(program.lines).toContain('ledger-unwritable');
    const said = numbers(program.lines);
    expect(said.length).toBeGreaterThan(10);
    const [segment = ''] = globSync('*/*.ledger', { cwd: folder.path, absolute: true });
    expect((await readFile(segment)).at(-1)).toBe(0x0a);
    await expectKept(folder.path, await taking(folder.path), said);
  });

  test('lets those that settle at once share a sync', async () => {
    await using folder = await scratchFolder();
    const ledger = fileLedger(folder.path);
    const request = { run: 'r1', job: 'job', source: 's', sink: 's', columns: [], fingerprints: {} };
    const { epoch } = await ledger.begin({ ...request, resume: 'no', holder: 'me', mayBeAlive }, never);
    const context: Context = { run: 'r1', job: 'job', epoch, signal: never, log: { debug() {}, info() {}, warn() {} } };
    const spanOf = (from: number): Span => ({ split: 's', from, rows: 1, next: { row: from + 1, token: null } });
    const timed = async (work: () => Promise<unknown>) => {
      const startedAt = performance.now();
      await work();
      return performance.now() - startedAt;
    };
    const single = await timed(async () => {
      for (let i = 0; i < 40; i++) await ledger.settle!([spanOf(i)], [], context);
    });
    const shared = await timed(() =>
      Promise.all(Array.from({ length: 400 }, (_, i) => ledger.settle!([spanOf(100 + i)], [], context))),
    );
    expect(shared / 400).toBeLessThan(single / 40 / 2);
    const found = await fileLedger(folder.path).find({ job: 'job', resume: 'latest' }, never);
    expect(found?.spans).toHaveLength(440);
  });
});

/** A sink whose records replace themselves: a file a key. It refuses names that are empty, and keeps no ledger. */
class FolderSink implements Sink {
  readonly name = 'folder';
  readonly identity: string;
  readonly traits = { maxBatchRows: 1_000, maxBatchBytes: 1e6, guarantee: 'idempotent', rewrites: true } as const;
  readonly key = ['id'];
  writes = 0;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.identity = `folder:${path}`;
  }

  async plan({ columns }: { columns: readonly string[] }): Promise<SinkPlan> {
    return { columns, statements: [], notes: [] };
  }

  async open(): Promise<void> {
    await mkdir(this.#path, { recursive: true });
  }

  async write(batch: Batch) {
    const cells: Cell[] = [];
    const rejects: Reject[] = [];
    for (let row = 0; row < batch.rows; row++) {
      const refusal = batch.cells(row, cells) ?? (cells[1] === '' ? { code: 'no-name', reason: 'no name' } : undefined);
      if (refusal) {
        rejects.push({ ...batch.origin(row), ...refusal });
        continue;
      }
      await writeFile(join(this.#path, `${cells[0]}.new`), String(cells[1]));
      await rename(join(this.#path, `${cells[0]}.new`), join(this.#path, String(cells[0])));
    }
    this.writes += batch.rows;
    return { written: batch.rows - rejects.length, unchanged: 0, duplicate: 0, rejects };
  }

  classify() {
    return 'retry' as const;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const people = (n: number) => Array.from({ length: n }, (_, id) => ({ id, name: id % 50 === 7 ? '' : `n${id}` }));

describe('a load into a sink without a ledger of its own', () => {
  test('goes on from its ledger, with what was rejected rejected once', async () => {
    await using folder = await scratchFolder();
    const [target, ledger, runDir] = ['target', 'ledger', 'run'].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ];
    const stop = new AbortController();
    const options = { batchRows: 50, workers: 2, runDir };
    const onProgress = ({ settled }: { settled: number }) => settled > 0 && stop.abort(new Error('cut'));
    const cut = await load({
      ...{ ...options, onProgress, signal: stop.signal },
      ...{ source: iterable(people(2_000)), sink: new FolderSink(target), ledger: fileLedger(ledger) },
    }).catch((error: LoadError) => error.report);
    expect(cut.status).toBe('interrupted');
    const sink = new FolderSink(target);
    const source = iterable(people(2_000));
    const report = await load({ ...options, source, sink, ledger: fileLedger(ledger), resume: true });
    expect(report).toMatchObject({ status: 'complete-with-rejects', run: cut.run, read: 2_000, rejected: 40 });
    expect(report.skipped).toBeGreaterThan(0);
    expect(report.written + report.skipped).toBe(1_960);
    expect(sink.writes).toBeLessThan(2_000);
    expect(await readdir(target)).toHaveLength(1_960);
    const rejects = (await readFile(join(runDir, 'rejects.ndjson'), 'utf8')).trimEnd().split('\n');
    expect(new Set(rejects.map((line) => JSON.parse(line).row)).size).toBe(40);
    expect(rejects).toHaveLength(40);
    const third = new FolderSink(target);
    const again = await load({
      source: iterable(people(2_000)),
      sink: third,
      ledger: fileLedger(ledger),
      resume: true,
    });
    expect(again).toMatchObject({ status: 'complete-with-rejects', written: 0, skipped: 1_960, rejected: 40 });
    expect(third.writes).toBe(0);
  });

  test.runIf(process.platform === 'linux')('counts nothing as settled that its ledger has no room for', async () => {
    await using folder = await scratchFolder();
    const ledger = join(folder.path, 'ledger');
    class Filling extends FolderSink {
      override async write(batch: Batch) {
        const [segment = ''] = globSync('*/*.ledger', { cwd: ledger, absolute: true });
        await rm(segment);
        await symlink('/dev/full', segment);
        return await super.write(batch);
      }
    }
    const sink = new Filling(join(folder.path, 'target'));
    const failed = load({ source: iterable(people(500)), sink, ledger: fileLedger(ledger) });
    const error = await failed.then(
      () => undefined,
      (reason: LoadError) => reason,
    );
    expect(error).toMatchObject({ code: 'ledger-unwritable', message: expect.stringMatching(/ENOSPC.*then resume/) });
    expect(error?.report).toMatchObject({ status: 'failed', written: 0, rejected: 0 });
    expect(sink.writes).toBeGreaterThan(0);
  });

  test('with a ledger that only its own sink can settle in is refused', async () => {
    await using db = await scratchDatabase();
    const { ledger } = postgres({ url: db.url, table: 't' });
    await using folder = await scratchFolder();
    const given = load({ source: iterable(people(1)), sink: new FolderSink(folder.path), ledger: ledger! });
    await expect(given).rejects.toMatchObject({ name: 'ConfigError', code: 'bad-option' });
  });

  test('killed again and again writes every row, and few of them twice', async () => {
    await using db = await scratchDatabase();
    await using folder = await scratchFolder();
    const rows = 60_000;
    const path = join(folder.path, 'a.csv');
    const lines = Array.from({ length: rows }, (_, id) => `${id % 10_000 === 77 ? 'x' : ''}${id},n${id}\n`);
    await writeFile(path, `id,name\n${lines.join('')}`);
    await db.client.query('CREATE TABLE t (id int PRIMARY KEY, name text)');
    const ledger = join(folder.path, 'ledger');
    const sink: PostgresOptions = { url: db.url, table: 't', mode: 'upsert', key: ['id'], ledger: false };
    const loading = `
import { load } from 'sluice';
import { fileLedger } from 'sluice/ledgers/file';
import { file } from 'sluice/sources/file';
import { postgres } from 'sluice/sinks/postgres';
const onProgress = ({ settled }) => console.log(settled);
await load({ source: file({ path: ${JSON.stringify(path)} }), sink: postgres(${JSON.stringify(sink)}),
  ledger: fileLedger(${JSON.stringify(ledger)}), resume: true, batchRows: 200, workers: 3, onProgress });`;
    for (let round = 1; round <= 3; round++) {
      const program = new Program(loading);
      const settled = round * 5_000;
      await program.until((seen) => Number(seen.at(-1) ?? 0) > settled);
      program.process.kill('SIGKILL');
      await program.ended;
    }
    const source = file({ path });
    const report = await load({ source, sink: postgres(sink), ledger: fileLedger(ledger), resume: true });
    expect(report).toMatchObject({ status: 'complete-with-rejects', guarantee: 'idempotent', read: rows, rejected: 6 });
    expect(report.skipped).toBeGreaterThan(15_000 - 6);
    expect(report.written + report.unchanged + report.skipped + report.rejected).toBe(rows);
    // Written before, and not noted: no more than what was in flight.
    expect(report.unchanged).toBeLessThanOrEqual(3 * 200);
    const counted = await db.client.query(
      "SELECT count(*)::int, count(*) FILTER (WHERE name = 'n' || id)::int AS right FROM t",
    );
    expect(counted.rows).toEqual([{ count: rows - 6, right: rows - 6 }]);
    const [run] = await fileLedger(ledger).runs(never);
    expect(run).toMatchObject({ status: 'complete-with-rejects', epoch: 4, rows, rejected: 6 });
    expect(globSync('*/*.ledger*', { cwd: ledger })).toHaveLength(1);
  });
});
