import { ConfigError } from '../../errors.js';
import { checkJobValue, parseJobFile } from '../../job/file.js';
import { variablesIn } from '../../job/fill-in.js';
import type { Environment } from '../../job/interpolate.js';
import type { Job } from '../../job/job.js';
import { isTree } from '../../job/tree.js';
import { sinks, sources } from '../../registry.js';
import type { LoadEvent } from './event.js';

/** A job as a job file has it: its text (YAML), or the same as an object. Variables stand in its texts as `${NAME}`. */
export type JobDescription = string | JobObject;

interface JobObject {
  readonly source: unknown;
  readonly sink: unknown;
  readonly [option: string]: unknown;
}

/** Jobs by their names. */
export interface NamedJobs {
  readonly jobs: Readonly<Record<string, JobDescription>>;
}

/** One job, or several. */
export type Jobs = JobDescription | NamedJobs;

/** A job whose variables are filled in. */
export interface NamedJob {
  /** Undefined where the handler has only one. */
  readonly name: string | undefined;
  readonly job: Job;
}

/**
 * The job an event means, its variables from the environment, else from the event's parameters. What the environment sets
 * an event can't change: whoever may send one is not to lead a password elsewhere.
 * @throws ConfigError `bad-event`, `bad-job`.
 */
export async function jobOf(jobs: Jobs, event: LoadEvent, environment: Environment): Promise<NamedJob> {
  const { name, description } = choose(jobs, event.job);
  const title = name ?? 'the job';
  const file = typeof description === 'string' ? parseJobFile(description, title) : undefined;
  const value = file === undefined ? description : file.value;
  const variables = { ...environment, ...parametersFor(value, event.parameters ?? {}, environment) };
  const job = file === undefined ? await checkJobValue(value, title, variables) : await file.check(variables);
  return { name, job };
}

function choose(jobs: Jobs, asked: string | undefined): { name: string | undefined; description: JobDescription } {
  if (!areNamed(jobs)) {
    if (asked === undefined) return { name: undefined, description: jobs };
    throw new ConfigError(
      'bad-event',
      `the event asks for job "${asked}", and this function has one job, without a name`,
    );
  }
  const names = Object.keys(jobs.jobs);
  const name = asked ?? (names.length === 1 ? names[0] : undefined);
  const description = name !== undefined && Object.hasOwn(jobs.jobs, name) ? jobs.jobs[name] : undefined;
  if (description !== undefined) return { name, description };
  const known = `one of ${names.join(', ')}`;
  throw new ConfigError('bad-event', asked === undefined ? `name a job: ${known}` : `no job "${asked}"; name ${known}`);
}

function areNamed(jobs: Jobs): jobs is NamedJobs {
  return typeof jobs !== 'string' && 'jobs' in jobs;
}

function parametersFor(
  value: unknown,
  parameters: NonNullable<LoadEvent['parameters']>,
  environment: Environment,
): Environment {
  const variables = new Set(variablesIn(value));
  const filled: Record<string, string> = {};
  for (const [name, parameter] of Object.entries(parameters)) {
    if (!variables.has(name))
      throw new ConfigError('bad-event', `parameter ${name}: the job has no variable \${${name}}`);
    if (environment[name] !== undefined) {
      throw new ConfigError(
        'bad-event',
        `parameter ${name}: the function's environment sets it, and an event can't change that; give the job a default instead, as in \${${name}:-default}`,
      );
    }
    filled[name] = String(parameter);
  }
  return filled;
}

/**
 * Loads the code of the jobs' sources and sinks while the function starts, so that no invocation spends its time on it. What
 * is wrong with a job is told by its load.
 */
export async function preload(jobs: Jobs): Promise<void> {
  const all = areNamed(jobs) ? Object.values(jobs.jobs) : [jobs];
  const values = all.map((job) => (typeof job === 'string' ? parseJobFile(job, 'the job').value : job)).filter(isTree);
  const named = (parts: unknown) => (isTree(parts) ? Object.keys(parts) : []);
  await Promise.all(
    values.flatMap(({ source, sink }) => [
      ...named(source).map((name) => sources[name]?.()),
      ...named(sink).map((name) => sinks[name]?.()),
    ]),
  );
}
