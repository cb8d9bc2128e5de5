import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ConfigError } from '../../errors.js';
import type { LoadError } from '../../flow/load-error.js';
import type { JobFile } from '../../job/file.js';
import { jobFromFlags, type LoadFlags, override, parseHeaders, type RunFlags } from '../../job/flags.js';
import type { Job } from '../../job/job.js';
import { isTree } from '../../job/tree.js';
import { defaultRunDir } from './run-folder.js';
import { type RunSettings, runJob } from './run-job.js';
import {
  asWritten,
  type GivenAgain,
  lacksPassword,
  passwordFaults,
  readSavedJob,
  restore,
  type SavedJob,
} from './saved-job.js';
import type { Terminal } from './terminal.js';

/** `sluice load SOURCE SINK`. */
export async function loadCommand(
  source: string,
  sink: string,
  flags: LoadFlags,
  settings: RunSettings,
  terminal: Terminal,
): Promise<number> {
  checkSettings(settings);
  const job = await jobFromFlags(source, sink, flags);
  return runJob(job, settings, terminal, { written: { file: null, value: asWritten(job) } });
}

/** `sluice run JOB`. */
export async function runCommand(
  path: string,
  flags: RunFlags,
  settings: RunSettings,
  terminal: Terminal,
): Promise<number> {
  checkSettings(settings);
  const file = await parseFile(path);
  const written = await file.check(process.env);
  const job = override(written, flags);
  const overridden = Object.entries(job).filter(([key, value]) => key in flags && value !== undefined);
  const value = isTree(file.value) ? { ...file.value, ...Object.fromEntries(overridden) } : file.value;
  return runJob(job, settings, terminal, { written: { file: path, value } });
}

/** The flags of `sluice resume`, as typed. */
export interface ResumeFlags extends RunFlags {
  readonly source?: string;
  readonly sink?: string;
  readonly header?: readonly string[];
}

/** `sluice resume RUN`. */
export async function resumeCommand(
  name: string,
  flags: ResumeFlags,
  settings: RunSettings,
  terminal: Terminal,
): Promise<number> {
  const { source, sink, header } = flags;
  terminal.redactor.learn({ source, sink, authorization: header });
  const { folder, saved } = findRun(name);
  const runDir = process.cwd() === saved.directory ? folder : resolve(folder);
  await enter(saved);
  const again: GivenAgain = {
    ...(source !== undefined && { source }),
    ...(sink !== undefined && { sink }),
    ...(header !== undefined && { headers: parseHeaders(header) }),
  };
  const job = override(await restoredJob(saved, again, join(runDir, 'job.json')), flags);
  const hint = ({ code }: LoadError) =>
    lacksPassword(saved, again) && passwordFaults.has(code)
      ? `The password in the sink's address was not kept. Give it by PGPASSWORD or a password file, for Aerospike by AEROSPIKE_PASSWORD, or: sluice resume ${name} --sink URL`
      : undefined;
  return runJob(job, { ...settings, runDir, resume: saved.run }, terminal, { hint });
}

/** A run's folder by its path, or by the name of its run where folders have their usual place. */
function findRun(name: string): { folder: string; saved: SavedJob } {
  for (const folder of [name, defaultRunDir(name)]) {
    const saved = readSavedJob(folder);
    if (saved) return { folder, saved };
  }
  throw new ConfigError(
    'no-such-run',
    `neither ${name} nor ${defaultRunDir(name)} holds the job.json of a run that was begun with a ledger: give the folder (as --run-dir named it), or the whole command again with --resume`,
  );
}

/** Paths of files mean what they meant when the run was started. */
async function enter({ directory }: SavedJob): Promise<void> {
  if (process.cwd() === directory) return;
  if (!(await stat(directory).catch(() => undefined))?.isDirectory()) {
    throw new ConfigError(
      'no-directory',
      `the run was started in ${directory}, which is not there any more: give the whole command again, with --resume`,
    );
  }
  process.chdir(directory);
}

async function restoredJob(saved: SavedJob, again: GivenAgain, title: string): Promise<Job> {
  const value = await restore(saved, again, async (path) => (await parseFile(path)).value);
  const { checkJobValue } = await import('../../job/file.js');
  return await checkJobValue(value, title, process.env);
}

async function parseFile(path: string): Promise<JobFile> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ConfigError('no-job-file', `The job file ${path} can't be read.`, { cause });
  });
  // YAML takes time to load, and `load` has no need of it.
  const { parseJobFile } = await import('../../job/file.js');
  return parseJobFile(text, path);
}

function checkSettings({ force, resume }: RunSettings): void {
  if (force && !resume) {
    throw new ConfigError('bad-usage', '--force goes with --resume: it resumes a source that has changed');
  }
}
