// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.
import { randomBytes } from 'node:crypto';
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startCitiesApi } from '../servers/cities-api.js';
import { scratchDatabase } from '../servers/database.js';
import { type Running, reportOf, type Setting, scratchFolder, sluice, start } from './sluice.js';

const rows = 60_000;
const numbers = `id,name\n${Array.from({ length: rows }, (_, id) => `${id},"n, ${id}"\n`).join('')}`;

/** A database with a table, a folder with numbers.csv, and the command in it. */
async function setUp() {
  const database = await scratchDatabase();
  const folder = await scratchFolder();
  await writeFile(join(folder.path, 'numbers.csv'), numbers);
  const role = `loader_${randomBytes(4).toString('hex')}`;
  const secret = `s-${randomBytes(8).toString('hex')}`;
  const name = new URL(database.url).pathname.slice(1);
  await database.client.query(`CREATE ROLE ${role} LOGIN PASSWORD '${secret}'; GRANT CREATE ON DATABASE ${name} TO ${role};
    CREATE TABLE numbers (id int, name text); GRANT ALL ON numbers TO ${role}`);
  const address = new URL(database.url);
  address.username = role;
  address.password = secret;
  // What the tests' own environment has must not stand in for what is forgotten.
  const env = { PGPASSWORD: undefined, PGPASSFILE: '/dev/null', DATABASE_URL: undefined };
  const setting = (more: Setting) => ({ cwd: folder.path, ...more, env: { ...env, ...more.env } });
  return {
    database,
    role,
    secret,
    url: address.href,
    folder: folder.path,
    sluice: (args: readonly string[], more: Setting = {}) => sluice(args, setting(more)),
    start: (args: readonly string[], more: Setting = {}) => start(args, setting(more)),
    async count() {
      const { rows } = await database.client.query<{ count: number; distinct: number }>(
        'SELECT count(*)::int, count(DISTINCT id)::int AS distinct FROM numbers',
      );
      return rows[0]!;
    },
    async [Symbol.asyncDispose]() {
      await database.client.query(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
      await database[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

type At = Awaited<ReturnType<typeof setUp>>;

async function until(met: () => boolean | Promise<boolean>): Promise<void> {
  const patience = Date.now() + 15_000;
  while (!(await met())) {
    if (Date.now() > patience) throw new Error('what was waited for did not come');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Starts a load and kills it with SIGKILL once it has committed something. Resolves to what it left. */
async function killed(at: At, args: readonly string[]): Promise<number> {
  const running = at.start([...args, '--batch-size', '500', '--workers', '2']);
  await until(async () => (await at.count()).count > 0);
  running.process.kill('SIGKILL');
  const ended = await running.ended;
  expect(ended.code).toBeNull();
  const { count, distinct } = await at.count();
  expect(count).toBeLessThan(rows);
  expect(distinct).toBe(count);
  return count;
}

const load = (at: At, ...flags: string[]) => ['load', 'numbers.csv', at.url, '--table', 'numbers', ...flags];
const whole = { count: rows, distinct: rows };

async function onlyRun(at: At): Promise<string> {
  const names = await readdir(join(at.folder, 'runs'));
  expect(names).toHaveLength(1);
  return names[0]!;
}

async function textOf(folder: string): Promise<string> {
  const files = await readdir(folder);
  return (await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))).join('\n');
}

describe('after kill -9', () => {
  test('the same command with --resume goes on, and once it is complete writes nothing', async () => {
    await using at = await setUp();
    await killed(at, load(at));
    const ended = await at.sluice(load(at, '--resume', '--json'));
    const report = reportOf(ended);
    expect(report).toMatchObject({ status: 'complete', read: rows, run: await onlyRun(at), error: null });
    expect(report.skipped).toBeGreaterThan(0);
    expect(Number(report.skipped) + Number(report.written)).toBe(rows);
    expect(ended.stderr).toContain(`resumed  run ${report.run}`);
    expect(ended.code).toBe(0);
    expect(await at.count()).toEqual(whole);
    const again = await at.sluice(load(at, '--resume', '--json'));
    expect(reportOf(again)).toMatchObject({ status: 'complete', run: report.run, written: 0, skipped: rows });
    expect(again.stderr).toContain(`resumed  run ${report.run}: 60,000 records had been settled before`);
    expect(again.code).toBe(0);
    expect(await at.count()).toEqual(whole);
  });

  test('sluice resume goes on by the name of the run, with the password from the environment', async () => {
    await using at = await setUp();
    await killed(at, load(at));
    const run = await onlyRun(at);
    const password = { env: { PGPASSWORD: at.secret } };
    const ended = await at.sluice(['resume', run, '--json', '--workers', '3', '--batch-size', '10000'], password);
    expect(reportOf(ended)).toMatchObject({ status: 'complete', run, read: rows, runDir: join('runs', run) });
    expect(await at.count()).toEqual(whole);
    expect((await readdir(join(at.folder, 'runs', run))).sort()).toEqual(['job.json', 'log.ndjson', 'report.json']);
    expect(await textOf(join(at.folder, 'runs', run))).not.toContain(at.secret);
  });

  test('sluice resume goes on by the folder, from elsewhere, with the address given again', async () => {
    await using at = await setUp();
    await killed(at, load(at, '--run-dir', 'out/first'));
    await using elsewhere = await scratchFolder();
    const folder = join(at.folder, 'out/first');
    const ended = await at.sluice(['resume', folder, '--sink', at.url, '--json'], { cwd: elsewhere.path });
    expect(reportOf(ended)).toMatchObject({ status: 'complete', read: rows, runDir: folder });
    expect(await at.count()).toEqual(whole);
    expect(await readdir(elsewhere.path)).toEqual([]);
    const byName = await at.sluice(['resume', String(reportOf(ended).run)]);
    expect(byName.stderr).toContain('--run-dir');
    expect(byName.code).toBe(3);
  });

  test('a job file is gone on with as it was, its variables from the environment again', async () => {
    await using at = await setUp();
    const path = join(at.folder, 'job.yaml');
    const job =
      'source: { file: { path: numbers.csv } }\nsink: { postgres: { url: "${DATABASE_URL}", table: numbers } }\n';
    await writeFile(path, job);
    const env = { DATABASE_URL: at.url };
    const running = at.start(['run', 'job.yaml', '--batch-size', '500', '--workers', '2'], { env });
    await until(async () => (await at.count()).count > 0);
    running.process.kill('SIGKILL');
    await running.ended;
    await writeFile(path, 'something: else\n');
    const run = await onlyRun(at);
    const unset = await at.sluice(['resume', run]);
    expect(unset.stderr).toContain('sink.postgres.url: environment variable DATABASE_URL is not set');
    expect(unset.code).toBe(3);
    const ended = await at.sluice(['resume', run, '--json', '--batch-size', '10000'], { env });
    expect(reportOf(ended)).toMatchObject({ status: 'complete', run, read: rows });
    expect(await at.count()).toEqual(whole);
    expect(await textOf(join(at.folder, 'runs', run))).not.toContain(at.secret);
    const saved: unknown = JSON.parse(await readFile(join(at.folder, 'runs', run, 'job.json'), 'utf8'));
    expect(saved).toMatchObject({ file: 'job.yaml', job: { batchSize: 500 }, withheld: [] });
  });
});

describe('what the folder does not keep', () => {
  test('header values are asked for by their flag, and are in no file', async () => {
    await using at = await setUp();
    await using api = await startCitiesApi(50);
    const token = 'Bearer t-0123456789abcdef';
    const header = ['--header', `Authorization: ${token}`];
    const columns = ['--columns', 'id=cityId,name', '--run-dir', 'first'];
    const first = await at.sluice(['load', api.url, at.url, '--table', 'numbers', ...columns, ...header]);
    expect(first.code).toBe(0);
    const without = await at.sluice(['resume', 'first', '--sink', at.url, '--json']);
    expect(reportOf(without)).toMatchObject({ status: 'failed', error: { code: 'withheld' } });
    expect(without.stderr).toContain("--header 'Authorization: ");
    expect(without.code).toBe(3);
    const again = await at.sluice(['resume', 'first', '--sink', at.url, '--json', ...header]);
    expect(reportOf(again)).toMatchObject({ status: 'complete', skipped: 50, written: 0 });
    const kept = await textOf(join(at.folder, 'first'));
    expect(kept).not.toContain('t-0123456789abcdef');
    expect(kept).not.toContain(at.secret);
  });

  test('a password written in a job file is read from that file again', async () => {
    await using at = await setUp();
    const job = `source: { file: { path: numbers.csv } }\nsink: { postgres: { url: "${at.url}", table: numbers } }\n`;
    await writeFile(join(at.folder, 'job.yaml'), job);
    const first = await at.sluice(['run', 'job.yaml', '--run-dir', 'first', '--limit', '1000']);
    expect(first.code).toBe(0);
    expect(await textOf(join(at.folder, 'first'))).not.toContain(at.secret);
    const whole = await at.sluice(['resume', 'first', '--limit', '2000', '--json']);
    expect(reportOf(whole)).toMatchObject({ status: 'complete', skipped: 1000, written: 1000 });
    await rm(join(at.folder, 'job.yaml'));
    const gone = await at.sluice(['resume', 'first', '--json']);
    expect(reportOf(gone)).toMatchObject({ status: 'failed', error: { code: 'no-job-file' } });
    expect(gone.code).toBe(3);
  });
});

describe('what can not be gone on with', () => {
  test('sluice resume of nothing, of a folder that holds no run, and of a run that is not in the ledger', async () => {
    await using at = await setUp();
    for (const name of ['nowhere', '.', 'numbers.csv']) {
      const ended = await at.sluice(['resume', name, '--json']);
      expect(reportOf(ended)).toMatchObject({ status: 'failed', error: { code: 'no-such-run' } });
      expect(ended.code).toBe(3);
    }
    await at.sluice(load(at, '--run-dir', 'first'));
    await at.database.client.query('DELETE FROM sluice.run');
    const ended = await at.sluice(['resume', 'first', '--sink', at.url, '--json']);
    expect(reportOf(ended)).toMatchObject({ status: 'failed', error: { code: 'no-such-run' } });
    expect(ended.code).toBe(3);
  });

  test('a run whose password is given nowhere, with a word on what to give', async () => {
    await using at = await setUp();
    await at.sluice(load(at, '--run-dir', 'first'));
    const ended = await at.sluice(['resume', 'first', '--json']);
    const { rows } = await at.database.client.query(
      "SELECT count(*)::int AS trusted FROM pg_hba_file_rules WHERE auth_method = 'trust'",
    );
    // A server that trusts everybody asks for no password.
    if (rows[0].trusted > 0) return expect(ended.code).toBe(0);
    expect(reportOf(ended)).toMatchObject({ error: { code: 'no-password' } });
    expect(ended.stderr).toContain('sluice resume first --sink URL');
    expect(ended.code).toBe(3);
  });

  test('a folder without a ledger', async () => {
    await using at = await setUp();
    const first = await at.sluice(load(at, '--run-dir', 'first', '--no-ledger', '--json'));
    expect(reportOf(first)).toMatchObject({ status: 'complete', guarantee: 'at least once' });
    expect(await readdir(join(at.folder, 'first'))).not.toContain('job.json');
    expect((await at.sluice(['resume', 'first'])).code).toBe(3);
    const latest = await at.sluice(load(at, '--resume', '--no-ledger', '--json'));
    expect(reportOf(latest)).toMatchObject({ status: 'failed', error: { code: 'no-ledger' } });
  });
});

describe('a role that may not make the ledger', () => {
  test('gets the SQL, whole, that lets it, and may load without', async () => {
    await using at = await setUp();
    const name = new URL(at.url).pathname.slice(1);
    await at.database.client.query(
      `REVOKE CREATE ON DATABASE ${name} FROM ${at.role}, PUBLIC; CREATE UNIQUE INDEX ON numbers (id)`,
    );
    const refused = await at.sluice(load(at, '--json'));
    expect(reportOf(refused)).toMatchObject({ status: 'failed', written: 0, error: { code: 'ledger-forbidden' } });
    expect(refused.stderr).toContain('--no-ledger');
    expect(refused.code).toBe(3);
    const without = await at.sluice(load(at, '--no-ledger', '--json'));
    expect(reportOf(without)).toMatchObject({ status: 'complete', guarantee: 'at least once', written: rows });
    expect(without.stderr).toContain('(at least once)');
    const upsert = await at.sluice(load(at, '--no-ledger', '--mode', 'upsert', '--key', 'id', '--json'));
    expect(reportOf(upsert)).toMatchObject({ status: 'complete', guarantee: 'idempotent', unchanged: rows });
    await writeFile(
      join(at.folder, 'job.yaml'),
      'source: { file: { path: numbers.csv } }\nsink: { postgres: { url: "${TO}", table: numbers, mode: ignore, key: [id] } }\n',
    );
    const run = await at.sluice(['run', 'job.yaml', '--no-ledger', '--json'], { env: { TO: at.url } });
    expect(reportOf(run)).toMatchObject({ status: 'complete', guarantee: 'idempotent', unchanged: rows });
    // The message's SQL, run by the owner, is all that was missing.
    const sql = refused.stderr.slice(refused.stderr.indexOf('CREATE SCHEMA'));
    expect(sql).toContain('CREATE FUNCTION');
    await at.database.client.query(sql);
    const loaded = await at.sluice(load(at, '--mode', 'upsert', '--key', 'id', '--json'));
    expect(reportOf(loaded)).toMatchObject({ status: 'complete', guarantee: 'exactly once', unchanged: rows });
    expect(loaded.code).toBe(0);
  });
});

describe('sluice runs', () => {
  test('lists, shows and forgets runs', async () => {
    await using at = await setUp();
    const env = { DATABASE_URL: at.url };
    const empty = await at.sluice(['runs', at.url]);
    expect(empty).toMatchObject({ code: 0, stdout: 'No runs.\n' });
    await killed(at, load(at));
    const list = async () => {
      const { stdout, code } = await at.sluice(['runs', '--json'], { env });
      expect(code).toBe(0);
      const runs: unknown = JSON.parse(stdout);
      return runs;
    };
    expect(await list()).toMatchObject([{ run: await onlyRun(at), status: 'running', endedAt: null, rejected: 0 }]);
    await at.database.client.query("UPDATE sluice.run SET heartbeat = now() - interval '16 seconds'");
    expect(await list()).toMatchObject([{ status: 'dead', source: 'file:numbers.csv' }]);
    await at.sluice(load(at, '--resume'));
    const bad = await at.start(['load', '-', at.url, '--format', 'csv', '--table', 'numbers', '--json'], {
      input: 'id,name\n1,a\nx,b\n',
    }).ended;
    const { run } = reportOf(bad);
    expect(await list()).toMatchObject([
      { run, status: 'complete-with-rejects', rows: 2, rejected: 1 },
      { run: await oldest(at), status: 'complete', rows, rejected: 0, epoch: 2 },
    ]);
    const table = await at.sluice(['runs', at.url]);
    expect(table.stdout).toMatch(/^RUN +STATUS +ROWS +REJECTED +STARTED +DURATION +HOLDER +SOURCE +SINK\n/);
    expect(table.stdout).toContain('60,000');
    expect(table.stdout).not.toContain(at.secret);

    const shown = await at.sluice(['runs', 'show', String(run), at.url]);
    expect(shown.stdout).toContain('-: 2 rows');
    expect(shown.stdout).toContain('-, row 2: ');
    expect(shown.stdout).toContain('(22P02)');
    const json = await at.sluice(['runs', 'show', String(run), '--json'], { env });
    expect(JSON.parse(json.stdout)).toMatchObject({
      run,
      splits: [{ split: '-', rows: 2 }],
      columns: ['id', 'name'],
      rejects: [{ split: '-', row: 2, code: '22P02', column: 'id' }],
    });
    const password = decodeURIComponent(new URL(at.url).password);
    const byFolder = await at.sluice(['runs', 'show', join('runs', String(run)), '--json'], {
      env: { DATABASE_URL: undefined, PGPASSWORD: password },
    });
    expect(JSON.parse(byFolder.stdout)).toEqual(JSON.parse(json.stdout));
    const noRun = await at.sluice(['runs', 'show', 'runs', '--json'], { env });
    expect(reportOf(noRun)).toMatchObject({ error: { code: 'no-such-run' } });
    const unknown = await at.sluice(['runs', 'show', 'nowhere', at.url, '--json']);
    expect(reportOf(unknown)).toMatchObject({ error: { code: 'no-such-run' } });
    expect(unknown.code).toBe(3);

    await at.sluice(load(at, '--limit', '5'));
    const none = await at.sluice(['runs', 'prune', at.url, '--json']);
    expect(JSON.parse(none.stdout)).toEqual({ pruned: 0 });
    const one = await at.sluice(['runs', 'prune', '--keep', '1'], { env });
    expect(one).toMatchObject({ code: 0, stdout: '1 run forgotten\n' });
    expect(await list()).toMatchObject([{ rows: 5 }, { run }]);
  });

  test('says what is missing or wrong', async () => {
    const env = Object.fromEntries(
      ['DATABASE_URL', 'PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER'].map((name) => [name, undefined]),
    );
    const cases: [string[], string][] = [
      [['runs'], 'set DATABASE_URL'],
      [['runs', 'mysql://u:hunter2@h/d'], 'postgres://'],
      [['runs', 'prune', 'postgres://h/d', '--keep', '-1'], '--keep'],
      [['runs', 'postgres://u:hunter2@127.0.0.1:1/d'], "can't connect"],
    ];
    for (const [args, words] of cases) {
      const { code, stdout, stderr } = await sluice(args, { env });
      expect(stderr).toContain(words);
      expect(stdout + stderr).not.toContain('hunter2');
      expect(code).toBe(3);
    }
  });
});

/** The run that was started first. */
async function oldest(at: At): Promise<string | undefined> {
  return (await readdir(join(at.folder, 'runs'))).sort()[0];
}

describe('a source that is not what it was', () => {
  test('is refused with 3, and gone on with by --force', async () => {
    await using at = await setUp();
    await killed(at, load(at));
    await appendFile(join(at.folder, 'numbers.csv'), `${rows},more\n`);
    const refused = await at.sluice(load(at, '--resume', '--json'));
    expect(reportOf(refused)).toMatchObject({ status: 'failed', error: { code: 'source-changed' } });
    expect(refused.stderr).toContain('numbers.csv');
    expect(refused.code).toBe(3);
    const forced = await at.sluice(load(at, '--resume', '--force', '--json'));
    expect(reportOf(forced)).toMatchObject({ status: 'complete', read: rows + 1 });
    expect(await at.count()).toEqual({ count: rows + 1, distinct: rows + 1 });
    const alone = await at.sluice(load(at, '--force'));
    expect(alone.stderr).toContain('--force goes with --resume');
    expect(alone.code).toBe(3);
  });
});

describe('two at once', () => {
  const args = (at: At, ...flags: string[]) => [
    'load',
    '-',
    at.url,
    '--format',
    'csv',
    '--table',
    'numbers',
    '--json',
    ...flags,
  ];

  /** A load that has written a row and waits for more. */
  async function holder(at: At): Promise<Running> {
    const running = at.start(args(at, '--run-dir', 'first'));
    running.process.stdin?.write('id,name\n1,a\n');
    await until(async () => (await at.count()).count > 0);
    return running;
  }

  test('the second is told who holds the job and since when', async () => {
    await using at = await setUp();
    const first = await holder(at);
    const second = await at.start(args(at), { input: 'id,name\n2,b\n' }).ended;
    expect(reportOf(second)).toMatchObject({
      status: 'failed',
      error: { code: 'job-held', message: expect.stringMatching(/\): wait for it, with --wait, or stop it$/) },
    });
    expect(second.stderr).toContain(` ${first.process.pid} `);
    expect(second.stderr).toMatch(/since \d{4}-\d\d-\d\dT/);
    expect(second.code).toBe(3);
    first.process.stdin?.end('x,b\n');
    expect(reportOf(await first.ended)).toMatchObject({ status: 'complete-with-rejects', written: 1, rejected: 1 });
  });

  test('a refused resume leaves the rejects of the one that holds it alone', async () => {
    await using at = await setUp();
    const first = at.start(args(at, '--run-dir', 'first'));
    const input = 'id,name\n1,a\nx,b\n';
    first.process.stdin?.write(input);
    await until(async () => (await at.count()).count > 0);
    const second = await at.sluice(['resume', 'first', '--json', '--sink', at.url], { input });
    expect(reportOf(second)).toMatchObject({ error: { code: 'job-held' } });
    first.process.stdin?.end('y,c\n');
    expect(reportOf(await first.ended)).toMatchObject({ rejected: 2 });
    const rejects = await readFile(join(at.folder, 'first', 'rejects.ndjson'), 'utf8');
    expect(rejects.trimEnd().split('\n')).toHaveLength(2);
  });

  test('the second waits with --wait, and says so', async () => {
    await using at = await setUp();
    const first = await holder(at);
    const second = at.start(args(at, '--wait'), { input: 'id,name\n2,b\n' });
    await untilSaid(second, 'waiting: this job is being run by');
    first.process.stdin?.end();
    expect((await first.ended).code).toBe(0);
    const waited = await second.ended;
    expect(waited.stderr).not.toContain('--wait');
    expect(reportOf(waited)).toMatchObject({ status: 'complete', written: 1 });
    expect(await at.count()).toEqual({ count: 2, distinct: 2 });
  });

  test('Ctrl-C ends the waiting', async () => {
    await using at = await setUp();
    const first = await holder(at);
    const second = at.start(args(at, '--wait'), { input: 'id,name\n2,b\n' });
    await untilSaid(second, 'waiting: this job is being run by');
    second.process.kill('SIGINT');
    const ended = await second.ended;
    expect(reportOf(ended)).toMatchObject({ status: 'interrupted', written: 0 });
    expect(ended.code).toBe(4);
    first.process.stdin?.end();
    expect((await first.ended).code).toBe(0);
  });

  async function untilSaid(running: Running, words: string): Promise<void> {
    let said = '';
    running.process.stderr?.on('data', (text: string) => {
      said += text;
    });
    await until(() => said.includes(words));
  }
});
