import * as z from 'zod';
import { awsSdk } from '../../aws-sdk.js';
import { ConfigError, messageOf, SluiceError } from '../../errors.js';

/** A database's secret as RDS keeps it (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html). */
const secretSchema = z.object({
  username: z.string().min(1),
  password: z.string().min(1),
  host: z.string().optional(),
  port: z.coerce.string().optional(),
  dbname: z.string().optional(),
});

/** What a secret says, by the names of the environment that PostgreSQL's programs know: PGUSER, PGPASSWORD and so on. */
export type DatabaseSecret = Readonly<Record<string, string>>;

/**
 * Asks AWS Secrets Manager for a database's user and password. Its client is in Lambda's runtimes; elsewhere it is an
 * optional dependency, loaded only here.
 * @throws ConfigError `no-aws-sdk`, `bad-secret`; SluiceError `no-secret` when it can't be had.
 */
export async function readDatabaseSecret(id: string, signal: AbortSignal): Promise<DatabaseSecret> {
  const text = await ask(id, signal);
  const read = secretSchema.safeParse(parsed(text));
  if (!read.success) {
    throw new ConfigError('bad-secret', `secret ${id} is not that of a database: JSON with username and password`);
  }
  const { username, password, host, port, dbname } = read.data;
  return {
    PGUSER: username,
    PGPASSWORD: password,
    ...(host !== undefined && { PGHOST: host }),
    ...(port !== undefined && { PGPORT: port }),
    ...(dbname !== undefined && { PGDATABASE: dbname }),
  };
}

async function ask(id: string, abortSignal: AbortSignal): Promise<string | undefined> {
  const { SecretsManagerClient, GetSecretValueCommand } = await client();
  const manager = new SecretsManagerClient({});
  try {
    const { SecretString } = await manager.send(new GetSecretValueCommand({ SecretId: id }), { abortSignal });
    return SecretString;
  } catch (cause) {
    const advice = 'check its name, the permission secretsmanager:GetSecretValue, and the way there from the VPC';
    throw new SluiceError('no-secret', `secret ${id} can't be read (${messageOf(cause)}): ${advice}`, { cause });
  } finally {
    manager.destroy();
  }
}

function client() {
  const name = '@aws-sdk/client-secrets-manager';
  return awsSdk(name, 'a secret is to be read', () => import('@aws-sdk/client-secrets-manager'));
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
