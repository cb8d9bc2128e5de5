import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ConfigError } from '../../errors.js';
import { jobFromFlags, type LoadFlags, override } from '../../job/flags.js';
import type { Job } from '../../job/job.js';
import type { ReplayOptions } from '../../sources/rejects/index.js';
import { replayedRun } from './open-rejects.js';
import { type RunSettings, runJob } from './run-job.js';
import { lacksPassword, passwordFaults, readSavedJob, restore, type SavedJob } from './saved-job.js';
import type { Terminal } from './terminal.js';

/** The flags of `sluice replay`; as typed. */
export interface ReplayFlags extends LoadFlags {
  /** A mended rejects file. */
  readonly from?: string;
  /** The job file of the run. */
  readonly job?: string;
}

/** `sluice replay RUN [SINK]`. */
export async function replayCommand(
  run: string,
  sink: string | undefined,
  flags: ReplayFlags,
  settings: RunSettings,
  terminal: Terminal,
): Promise<number> {
  const options = await findRejects(run, flags.from);
  if (options.path !== undefined && settings.runDir !== undefined) refuseFolder(options.path, settings.runDir);
  const saved = sink === undefined && flags.job === undefined ? readSavedJob(run) : undefined;
  if (saved !== undefined || flags.job !== undefined) refuseTarget(flags);
  const job = saved === undefined ? await jobOf(sink, flags) : await savedJob(saved, options, run, flags);
  return runJob({ ...job, source: { name: 'rejects', options } }, settings, terminal, {
    hint: ({ code }) =>
      saved !== undefined && lacksPassword(saved, {}) && passwordFaults.has(code)
        ? "The password in the sink's address was not kept. Give it by PGPASSWORD or a password file, for Aerospike by AEROSPIKE_PASSWORD, or give SINK and the flags of the load."
        : undefined,
  });
}

/** A run's folder has its name and its rejects; of a run that is only named the ledger has them. */
async function findRejects(run: string, from: string | undefined): Promise<ReplayOptions> {
  const report = await readReport(run);
  if (report === undefined) return { run, ...(from !== undefined && { path: from }) };
  // What a replay rejected again is still a reject of the run it replayed.
  return { run: replayedRun(report.source) ?? report.run, path: from ?? join(run, 'rejects.ndjson') };
}

/** Undefined when there is no such folder. */
async function readReport(folder: string): Promise<{ run: string; source: string } | undefined> {
  const path = join(folder, 'report.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (!/[/\\]/.test(folder)) return undefined;
    throw new ConfigError(
      'no-report',
      `${path} can't be read: give the folder of a run that has ended, or the run's name and SINK`,
      {
        cause,
      },
    );
  }
  const report: unknown = JSON.parse(text);
  if (typeof report === 'object' && report !== null && 'run' in report && 'source' in report) {
    const { run, source } = report;
    if (typeof run === 'string' && typeof source === 'string') return { run, source };
  }
  throw new ConfigError('no-report', `${path} is not the report of a run`);
}

/** A job says where to; flags that say it too would be passed over, and the rows land elsewhere. */
function refuseTarget(flags: ReplayFlags): void {
  const names = { table: '--table', mode: '--mode', key: '--key', columns: '--columns', ignoreExtra: '--ignore-extra' };
  const given = Object.entries(names).filter(([name]) => flags[name as keyof typeof names] !== undefined);
  if (given.length === 0) return;
  throw new ConfigError(
    'bad-usage',
    `${given.map(([, flag]) => flag).join(' ')} would be passed over, for the job of the run says it: give SINK with these flags instead of the job`,
  );
}

/** The job as the run's folder keeps it. Where its records came from, and how many of them, has no part in a replay. */
async function savedJob(saved: SavedJob, options: ReplayOptions, run: string, flags: ReplayFlags): Promise<Job> {
  const { from: _from, job: _job, ...loadFlags } = flags;
  return override(await jobOfRejects(saved, options, join(run, 'job.json')), loadFlags);
}

/** The saved job, reading the run's rejects: no secret of its own source is asked for. */
export async function jobOfRejects(saved: SavedJob, options: ReplayOptions, title: string): Promise<Job> {
  const { limit: _, ...kept } = saved.job;
  const withheld = saved.withheld.filter(([part]) => part !== 'source');
  const replayed = { ...saved, withheld, job: { ...kept, source: { rejects: options } } };
  const { checkJobValue, parseJobFile } = await import('../../job/file.js');
  const value = await restore(replayed, {}, async (path) => {
    const file = resolve(saved.directory, path);
    return parseJobFile(await readFile(file, 'utf8'), file).value;
  });
  return await checkJobValue(value, title, process.env);
}

/** What the run was to load into, and how; what it was loaded from has no part in a replay. */
async function jobOf(sink: string | undefined, flags: ReplayFlags): Promise<Job> {
  const { from: _, job: path, ...loadFlags } = flags;
  if (sink !== undefined && path === undefined) return await jobFromFlags('-', sink, loadFlags);
  if (sink !== undefined || path === undefined)
    throw new ConfigError(
      'bad-usage',
      "the run's folder, where it is given, keeps no job.json: give the job of the run, by --job job.yaml, or SINK with the flags it was loaded with (--table, --mode, --key, --columns)",
    );
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ConfigError('no-job-file', `The job file ${path} can't be read.`, { cause });
  });
  const { readJob } = await import('../../job/file.js');
  return override(await readJob(text, path, process.env), loadFlags);
}

/** A run begins with a new rejects file in its folder. */
function refuseFolder(path: string, runDir: string): void {
  if (resolve(path) !== join(resolve(runDir), 'rejects.ndjson')) return;
  throw new ConfigError(
    'bad-usage',
    `--run-dir ${dirname(path)} holds the rejects that are to be replayed, and a run writes its own there: name another folder`,
  );
}
