import { readdirSync, readFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { ConfigError } from '../../errors.js';
import { createHandler, type Handler, type Jobs } from './index.js';

/** The function of the bundle: its jobs are the job files in the folder `jobs` beside it, named like them without `.yaml`. */
export const handler: Handler = createHandler(jobsIn(join(process.env.LAMBDA_TASK_ROOT ?? '.', 'jobs')));

function jobsIn(folder: string): Jobs {
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  if (names.length === 0) throw new ConfigError('no-job', `${folder} holds no job file: bundle at least one`);
  return {
    jobs: Object.fromEntries(names.map((name) => [parse(name).name, readFileSync(join(folder, name), 'utf8')])),
  };
}
