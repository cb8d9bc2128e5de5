import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const main = resolve('dist/hosts/cli/main.js');

/** How a run of the command ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command while it runs. */
export interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
}

export interface Setting {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** Starts the command as it was built. Standard input stays open unless `input` is given. */
export function start(args: readonly string[], { env, cwd, input }: Setting = {}): Running {
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...process.env, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => {});
  if (input !== undefined) child.stdin.end(input);
  const ended = new Promise<Ended>((done) => child.once('close', (code) => done({ code, stdout, stderr })));
  return { process: child, ended };
}

/** Runs the command to its end. */
export function sluice(args: readonly string[], setting: Setting = {}): Promise<Ended> {
  return start(args, { input: '', ...setting }).ended;
}

/** The last line of standard output, which `--json` makes the report. */
export function reportOf({ stdout }: Ended): Record<string, unknown> {
  const report: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
  if (typeof report !== 'object' || report === null) throw new Error(`not a report: ${stdout}`);
  return { ...report };
}

/** A folder of its own, gone when disposed. */
export interface Folder extends AsyncDisposable {
  readonly path: string;
}

export async function scratchFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
