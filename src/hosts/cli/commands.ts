import { readFile } from 'node:fs/promises';
import { ConfigError } from '../../errors.js';
import { jobFromFlags, type LoadFlags, override, type RunFlags } from '../../job/flags.js';
import { type RunSettings, runJob } from './run-job.js';
import type { Terminal } from './terminal.js';

/** `sluice load SOURCE SINK`. */
export async function loadCommand(
  source: string,
  sink: string,
  flags: LoadFlags,
  settings: RunSettings,
  terminal: Terminal,
): Promise<number> {
  return runJob(await jobFromFlags(source, sink, flags), settings, terminal);
}

/** `sluice run JOB`. */
export async function runCommand(
  path: string,
  flags: RunFlags,
  settings: RunSettings,
  terminal: Terminal,
): Promise<number> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ConfigError('no-job-file', `The job file ${path} can't be read.`, { cause });
  });
  // YAML takes time to load, and `load` has no need of it.
  const { readJob } = await import('../../job/file.js');
  return runJob(override(await readJob(text, path, process.env), flags), settings, terminal);
}
