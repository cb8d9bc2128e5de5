import { readdirSync, readFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { ConfigError } from '../../errors.js';
import { Redactor } from '../redact.js';
import { createHandler, type Handler, type Jobs } from './index.js';
import { type DatabaseSecret, readDatabaseSecret } from './secret.js';
import { told } from './told.js';

/** Milliseconds the secret is waited for. */
const patience = 5_000;

const load = createHandler(jobsIn(join(process.env.LAMBDA_TASK_ROOT ?? '.', 'jobs')), {
  goOn: goOnBy(process.env.SLUICE_GO_ON),
});
/** What the function's own environment sets stands; a secret fills in the rest. */
const own = { ...process.env };

/**
 * The function of the bundle: its jobs are the job files in the folder `jobs` beside it, named like them without `.yaml`.
 * Where DATABASE_SECRET names a secret of AWS Secrets Manager, user and password come from there, read anew for each
 * invocation, so that a rotation is noticed. With SLUICE_GO_ON=self it invokes itself to go on.
 */
export const handler: Handler = async (event, context) => {
  if (own.DATABASE_SECRET) Object.assign(process.env, await fromSecret(own.DATABASE_SECRET), own);
  return await load(event, context);
};

async function fromSecret(id: string): Promise<DatabaseSecret> {
  try {
    return await readDatabaseSecret(id, AbortSignal.timeout(patience));
  } catch (error) {
    throw told(error, new Redactor());
  }
}

function goOnBy(word = 'answer'): 'answer' | 'self' {
  if (word === 'answer' || word === 'self') return word;
  throw new ConfigError('bad-option', `SLUICE_GO_ON is "${word}": it may be answer or self`);
}

function jobsIn(folder: string): Jobs {
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  if (names.length === 0) throw new ConfigError('no-job', `${folder} holds no job file: bundle at least one`);
  return {
    jobs: Object.fromEntries(names.map((name) => [parse(name).name, readFileSync(join(folder, name), 'utf8')])),
  };
}
