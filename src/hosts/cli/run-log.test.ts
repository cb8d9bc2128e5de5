import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newRunName } from '../../flow/run-name.js';
import { defaultRunDir, makeRunDir } from './run-folder.js';
import { logLevel, openRunLog } from './run-log.js';

let directory: string;
let warnings: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  warnings = [];
});
afterEach(() => rm(directory, { recursive: true }));

function open(level: string = 'info') {
  const clean = (line: string) => line.replaceAll('hunter2', '***');
  return openRunLog({ directory, level, clean, warn: (text) => warnings.push(text) });
}

async function lines(): Promise<unknown[]> {
  const text = await readFile(join(directory, 'log.ndjson'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
}

describe('the log of a run', () => {
  test('holds a line as soon as it was said, without its secrets', async () => {
    using run = open();
    run.log.info({ url: 'postgres://u:hunter2@h' }, 'a batch is tried again');
    run.log.debug({}, 'not asked for');
    expect(await lines()).toEqual([
      { level: 30, time: expect.stringMatching(/^\d{4}-/), url: 'postgres://u:***@h', msg: 'a batch is tried again' },
    ]);
  });

  test('holds more when asked for', async () => {
    using run = open(logLevel({ SLUICE_LOG: 'debug' }));
    run.log.debug({}, 'asked for');
    expect(await lines()).toMatchObject([{ msg: 'asked for' }]);
  });

  test('goes on where an earlier run in the same folder ended', async () => {
    for (const message of ['first', 'second']) {
      using run = open();
      run.log.info({}, message);
    }
    expect(await lines()).toMatchObject([{ msg: 'first' }, { msg: 'second' }]);
  });

  test('is given up with one warning when the disk is full', async () => {
    await symlink('/dev/full', join(directory, 'log.ndjson'));
    using run = open();
    for (let i = 0; i < 3; i++) run.log.info({}, 'lost');
    expect(warnings).toEqual([expect.stringContaining("log.ndjson can't be written")]);
  });

  test("is given up with one warning when the folder isn't there", async () => {
    directory = join(directory, 'nowhere');
    using run = open();
    run.log.warn({}, 'lost');
    expect(warnings).toEqual([expect.stringContaining('ENOENT')]);
    directory = join(directory, '..');
  });
});

describe('the run folder', () => {
  test('is named by its run, which is named by time and chance', () => {
    const at = new Date('2026-01-31T12:00:00.123Z');
    expect(defaultRunDir(newRunName(at))).toMatch(/^runs[/\\]20260131T120000-[0-9a-f]{6}$/);
    expect(newRunName(at)).not.toBe(newRunName(at));
  });

  test("is made with its parents, or done without where it can't be", async () => {
    const path = join(directory, 'a', 'b');
    expect(await makeRunDir(path, (text) => warnings.push(text))).toBe(path);
    await symlink('/dev/null', join(directory, 'file'));
    expect(await makeRunDir(join(directory, 'file', 'x'), (text) => warnings.push(text))).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('Name another with --run-dir')]);
  });
});
