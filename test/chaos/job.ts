import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checksumSql, type Files, makeFiles } from './files.js';
import { Loader, type LoaderEnd, type LoaderOptions } from './loader-process.js';
import type { Random } from './random.js';
import type { CrashingServer } from './server.js';
import type { Tally } from './tally.js';

/** What a scenario works with. */
export interface Arena {
  readonly server: CrashingServer;
  readonly random: Random;
  readonly tally: Tally;
  /** Rows of a job. */
  readonly rows: number;
  /** About how many faults a job is to meet. */
  readonly faults: number;
}

/** How long anything at all may take. Longer means that it hangs. Milliseconds. */
const watchdog = 90_000;

/** A dead holder of this host must not be waited for; the lease would take longer than this. Milliseconds. */
const promptly = 9_000;

/** A load went wrong; says how, with what helps to see why. */
export class ChaosError extends Error {
  override readonly name = 'ChaosError';
}

/** Files, a table in a database of its own, and loaders that bring the one into the other. */
export class Job implements AsyncDisposable {
  readonly arena: Arena;
  readonly files: Files;
  readonly database: string;
  /** Where loaders connect; one address for the whole job, for it is part of the job's name. */
  url: string;
  readonly #folder: string;
  readonly #loaders = new Set<Loader>();
  /** Errors a loader of this job may end with. */
  readonly allowed = new Set<string>();
  /** Those it may end with before it holds the run. */
  readonly allowedAtStart = new Set<string>();
  /** Those it ended with all the same. */
  readonly #unexpected: string[] = [];
  /** When the last holder was killed. */
  #killedAt: number | undefined;

  private constructor(arena: Arena, files: Files, database: string, folder: string) {
    this.arena = arena;
    this.files = files;
    this.database = database;
    this.#folder = folder;
    const url = new URL(arena.server.url);
    url.pathname = `/${database}`;
    this.url = url.href;
  }

  static async create(arena: Arena): Promise<Job> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-chaos-'));
    const files = await makeFiles(join(folder, 'in'), arena.rows, arena.random);
    const database = `chaos_${randomBytes(6).toString('hex')}`;
    await arena.server.query(`CREATE DATABASE ${database}`);
    // No key of any kind: a row written twice is there twice.
    await arena.server.query('CREATE TABLE t (id bigint, name text, amount numeric(12, 2))', [], database);
    return new Job(arena, files, database, folder);
  }

  /** A loader that goes on with the run, with batches and workers drawn anew. */
  launch(options: Partial<LoaderOptions> = {}): Loader {
    const { random } = this.arena;
    const takeover = () => {
      if (this.#killedAt !== undefined) this.#tookOver(performance.now() - this.#killedAt);
      this.#killedAt = undefined;
    };
    const given = {
      url: this.url,
      table: 't',
      path: this.files.paths,
      batchRows: random.int(200, 1_500),
      workers: random.int(1, 5),
      resume: true,
      wait: false,
      maxErrors: 1_000_000,
      ...options,
    };
    const loader = new Loader(given, takeover);
    this.#loaders.add(loader);
    void loader.ended.then((end) => {
      this.#loaders.delete(loader);
      const { tally } = this.arena;
      tally.ended(end.error?.code ?? end.report?.status ?? 'killed');
      tally.peak = Math.max(tally.peak, end.peak ?? 0);
      if (end.error === undefined || this.allowed.has(end.error.code)) return;
      if (loader.hasRun || !this.allowedAtStart.has(end.error.code)) this.#unexpected.push(describe(end));
    });
    return loader;
  }

  /** Kills it; false when it had ended before. */
  kill(loader: Loader, signal: 'SIGKILL' | 'SIGTERM'): boolean {
    if (!loader.kill(signal)) return false;
    // One killed before it could take over leaves that to the next, whose time then counts from here.
    if (loader.hasRun || this.#killedAt !== undefined) this.#killedAt = performance.now();
    this.arena.tally.inject(signal);
    return true;
  }

  #tookOver(ms: number): void {
    this.arena.tally.takeovers.push(ms);
    if (ms > promptly) this.#unexpected.push(`nothing: it took ${Math.round(ms)} ms to take over a run from the dead`);
  }

  /** Runs loaders until one says that all is done; those that fail as they may are followed by another. */
  async complete(options: Partial<LoaderOptions> = {}): Promise<LoaderEnd> {
    const deadline = performance.now() + watchdog;
    for (;;) {
      const end = await this.end(this.launch(options));
      if (end.error === undefined && end.report?.status.startsWith('complete')) return end;
      if (performance.now() > deadline) throw new ChaosError(`no loader came to its end; the last: ${describe(end)}`);
      await sleep(100);
    }
  }

  /** Waits for a loader's end, and fails with what the server is doing when there is none. */
  async end(loader: Loader): Promise<LoaderEnd> {
    const end = await this.within(loader.ended, 'the end of a loader');
    if (this.#unexpected.length > 0) throw new ChaosError(`a loader ended with ${this.#unexpected.join('; ')}`);
    return end;
  }

  async within<Result>(waited: Promise<Result>, what: string, ms = watchdog): Promise<Result> {
    const timer = new AbortController();
    const late = sleep(ms, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const);
    const first = await Promise.race([waited.then((result) => ({ result })), late]);
    timer.abort();
    if (first !== 'late') return first.result;
    const sessions = await this.query(
      `SELECT pid, state, wait_event_type, wait_event, now() - xact_start AS age, left(query, 100) AS query
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    const runs = await this.query('SELECT run, epoch, status, holder, heartbeat FROM sluice.run').catch(() => []);
    throw new ChaosError(`waited ${ms / 1000} s in vain for ${what}. ${JSON.stringify({ sessions, runs }, null, 1)}`);
  }

  query(sql: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return this.arena.server.query(sql, values, this.database);
  }

  /** Waits until some loader has settled something, or all have ended. */
  async begun(loader: Loader): Promise<void> {
    const begun = async () => {
      while (loader.settled === 0 && !loader.hasEnded) await sleep(5);
    };
    await this.within(begun(), 'the first settled rows');
  }

  /** Once more, which must do nothing; and the table, the rejects and the ledger are what they ought to be. */
  async verify(): Promise<void> {
    const { tally } = this.arena;
    const { files } = this;
    const again = await this.complete({ wait: true });
    const table = await this.query(
      `SELECT count(*)::int AS count, count(DISTINCT id)::int AS ids, ${checksumSql} AS checksum FROM t`,
    );
    const rejects = (await this.query('SELECT split, "row" FROM sluice.reject')).map(
      ({ split, row }) => `${split} ${row}`,
    );
    const { count, ids, checksum } = table[0] ?? {};
    tally.rows += Number(count);
    tally.lost += files.good - Number(ids);
    tally.doubled += Number(count) - Number(ids);
    tally.rejectsLost += files.bad.filter((place) => !rejects.includes(place)).length;
    tally.rejectsDoubled += rejects.length - new Set(rejects).size;
    const runs = await this.query('SELECT run, status, epoch FROM sluice.run');
    const spans = await this.query('SELECT count(*)::int AS spans FROM sluice.span');
    const found = { count, ids, checksum, rejects: rejects.sort(), runs: runs.length, spans: spans[0]?.spans };
    const { good, bad } = files;
    const wanted = { count: good, ids: good, checksum: files.checksum, rejects: bad, runs: 1, spans: 0 };
    if (JSON.stringify(found) !== JSON.stringify(wanted)) {
      const brief = ({ rejects, ...others }: typeof found | typeof wanted) => ({ ...others, rejects: rejects.length });
      throw new ChaosError(`the table is not the source: ${JSON.stringify([brief(found), brief(wanted), runs])}`);
    }
    const { written, rejected, skipped } = again.report ?? {};
    if (written !== 0 || rejected !== bad.length || skipped !== good) {
      throw new ChaosError(`a complete run was not left alone: ${JSON.stringify(again.report)}`);
    }
    tally.survive();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const loader of this.#loaders) loader.kill('SIGKILL');
    await Promise.all([...this.#loaders].map((loader) => loader.ended));
    await this.arena.server.query(`DROP DATABASE IF EXISTS ${this.database} WITH (FORCE)`);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export function describe({ error, report, stderr }: LoaderEnd): string {
  if (error !== undefined) return `${error.code}: ${error.message} ${stderr}`;
  return report === undefined ? `nothing said ${stderr}` : report.status;
}
