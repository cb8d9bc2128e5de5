import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { ConfigError } from '../../errors.js';
import type { Job } from '../../job/job.js';
import { valueAt } from '../../job/problems.js';
import type { Path } from '../../job/shape.js';
import { isTree, put, type Tree } from '../../job/tree.js';
import { takeOutSecrets } from './take-out-secrets.js';

const name = 'job.json';

const savedSchema = z.strictObject({
  version: z.literal(1),
  /** The run's name in the ledger. */
  run: z.string().min(1),
  /** Where it was started: paths of files are taken from there. */
  directory: z.string().min(1),
  /** The job file; null when flags said it all. */
  file: z.string().nullable(),
  /** The job in the form of a job file, its variables as they are written. */
  job: z.record(z.string(), z.unknown()),
  /** Where secrets were. */
  withheld: z.array(z.array(z.union([z.string(), z.number()]))),
});

/** What a run's folder keeps of its job, in `job.json`: all that is needed to go on with it, but for its secrets. */
export type SavedJob = z.output<typeof savedSchema>;

/** The job as its author wrote it. */
export interface WrittenJob {
  readonly file: string | null;
  /** In the form of a job file, its variables as they are written. */
  readonly value: unknown;
}

/** A job that flags described, in the form of a job file. */
export function asWritten({ source, sink, ...rest }: Job): unknown {
  const parts = { source: { [source.name]: source.options }, sink: { [sink.name]: sink.options } };
  return escaped({ ...parts, ...rest });
}

/** Puts `job.json` into the run's folder. What `mayShow` says no to is not kept at all. */
export function saveJob(folder: string, run: string, written: WrittenJob, mayShow: (text: string) => boolean): void {
  const { value, withheld } = takeOutSecrets(written.value);
  const saved = { version: 1, run, directory: process.cwd(), file: written.file, job: value, withheld };
  const text = `${JSON.stringify(saved, null, 2)}\n`;
  if (!mayShow(text.replaceAll(/\$\{\w+\}/g, '***'))) {
    throw new ConfigError('secret-in-job', 'a secret stands in the job where none is expected');
  }
  // Whoever reads it finds all of it or the one before.
  const path = join(folder, name);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

/** Undefined when the folder holds no job. @throws ConfigError `bad-run-folder` when it can't be read. */
export function readSavedJob(folder: string): SavedJob | undefined {
  const path = join(folder, name);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR'))
      return undefined;
    throw new ConfigError('bad-run-folder', `${path} can't be read.`, { cause });
  }
  const saved = savedSchema.safeParse(parsed(text));
  if (saved.success) return saved.data;
  const advice = 'give the whole command again, with --resume';
  throw new ConfigError('bad-run-folder', `${path} is not what this version of Sluice writes there: ${advice}`);
}

/** What is given anew for what was withheld. */
export interface GivenAgain {
  readonly source?: string;
  readonly sink?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const sourceAddress: Path = ['source', 'http', 'url'];
const headers: Path = ['source', 'http', 'headers'];

/**
 * The job's value with what was withheld: from what is given again, else from the job file, which `readFile` reads.
 * @throws ConfigError `withheld` that says which flag to give.
 */
export async function restore(
  saved: SavedJob,
  again: GivenAgain,
  readFile: (path: string) => Promise<unknown>,
): Promise<Tree> {
  const job: Tree = { ...structuredClone(saved.job) };
  if (saved.file !== null && saved.withheld.length > 0) {
    const now = await readFile(saved.file);
    for (const path of saved.withheld) putDeep(job, path, valueAt(now, path));
  }
  if (again.source !== undefined) put(job, sourceAddress, escaped(again.source));
  if (again.sink !== undefined) put(job, sinkAddress(saved), escaped(again.sink));
  for (const [header, value] of Object.entries(again.headers ?? {})) {
    const known = saved.withheld.find(
      (path) => isHeader(path) && String(path[3]).toLowerCase() === header.toLowerCase(),
    );
    put(job, known ?? [...headers, header], escaped(value));
  }
  const missing = saved.withheld.filter((path) => valueAt(job, path) === undefined);
  if (missing.length === 0) return job;
  const flags = [...new Set(missing.map(flagFor))];
  if (flags.includes(undefined)) {
    const where = missing.map((path) => path.join('.')).join(', ');
    const advice = saved.file === null ? 'give the whole command again' : `run ${saved.file} again`;
    throw new ConfigError('withheld', `a secret of this job (${where}) is not kept: ${advice}, with --resume`);
  }
  throw new ConfigError(
    'withheld',
    `what may be a secret is not kept in the run folder; give it to sluice resume again, by ${flags.join(' ')}`,
  );
}

/** Codes of errors that a password which was not given may be the cause of. */
export const passwordFaults: ReadonlySet<string> = new Set(['no-password', 'wrong-password', 'access-refused']);

/** Whether the sink's address had a password that has not been given again. */
export function lacksPassword(saved: SavedJob, again: GivenAgain): boolean {
  const withheld = saved.withheld.some((path) => path.join('\0') === sinkAddress(saved).join('\0'));
  return withheld && saved.file === null && again.sink === undefined;
}

function sinkAddress({ job }: SavedJob): Path {
  const [sink = 'postgres'] = isTree(job.sink) ? Object.keys(job.sink) : [];
  return ['sink', sink, 'url'];
}

function flagFor(path: Path): string | undefined {
  if (path.join('\0') === sourceAddress.join('\0')) return '--source URL';
  return isHeader(path) ? `--header '${path[3]}: ...'` : undefined;
}

function isHeader(path: Path): boolean {
  return path.length === 4 && path.slice(0, 3).join('\0') === headers.join('\0');
}

/** Lists on the way are there, for only what they hold was taken out. */
function putDeep(root: Tree, path: Path, value: unknown): void {
  const holder = valueAt(root, path.slice(0, -1));
  const last = path.at(-1)!;
  if (Array.isArray(holder) && typeof last === 'number') holder[last] = value;
  else if (isTree(holder)) put(holder, [last], value);
}

/** Texts in which `${` means nothing, as a job file has to write them. */
function escaped(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', () => '$${');
  if (Array.isArray(value)) return value.map(escaped);
  if (!isTree(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escaped(item)]));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
