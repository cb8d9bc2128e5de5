import { ConfigError, causesOf, codeOf, messageOf, SluiceError, SourceError } from '../../../errors.js';

type Told = readonly [code: string, message: string];

const credentials =
  'check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE, or the role of this machine or function';

/** By the names that S3 gives its errors (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html), and the SDK its own. */
const byName: Readonly<Record<string, Told>> = {
  NoSuchBucket: ['no-such-bucket', 'there is no such bucket: check its name, and AWS_ENDPOINT_URL where it is not AWS'],
  NoSuchKey: ['no-such-file', 'there is no such object'],
  NotFound: ['no-such-file', 'there is no such object'],
  AccessDenied: [
    'no-permission',
    'access is denied: reading takes s3:GetObject, and a glob, or to be told that an object is missing, s3:ListBucket; an encrypted object kms:Decrypt of its key as well',
  ],
  InvalidAccessKeyId: ['bad-credentials', `the access key is not known there: ${credentials}`],
  SignatureDoesNotMatch: ['bad-credentials', `the secret key is not that of the access key: ${credentials}`],
  ExpiredToken: ['bad-credentials', `the credentials have expired: ${credentials}`],
  ExpiredTokenException: ['bad-credentials', `the credentials have expired: ${credentials}`],
  InvalidToken: ['bad-credentials', `the session token is not valid: ${credentials}`],
  RequestTimeTooSkewed: ['bad-credentials', 'the clock of this machine is wrong'],
  CredentialsProviderError: ['no-credentials', `there are no credentials: ${credentials}`],
  PermanentRedirect: ['wrong-region', "the bucket lies in another region: set AWS_REGION to the bucket's"],
  AuthorizationHeaderMalformed: ['wrong-region', "the bucket lies in another region: set AWS_REGION to the bucket's"],
  IllegalLocationConstraintException: ['wrong-region', "set AWS_REGION to the bucket's region"],
  InvalidObjectState: ['archived', 'it is archived (S3 Glacier): restore it first'],
};

const byErrno: Readonly<Record<string, Told>> = {
  ENOTFOUND: ['s3-unreachable', 'the host name is not known: check AWS_REGION and AWS_ENDPOINT_URL'],
  ECONNREFUSED: ['s3-unreachable', 'nothing listens there: check AWS_ENDPOINT_URL'],
};

/** What S3, its client or the network said, as a SourceError that names the path. What is ours already stays as it is. */
export function s3Error(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof SluiceError) return error;
  if (/region is missing/i.test(error.message)) {
    return new ConfigError('no-region', `${path} can't be read: set AWS_REGION to the bucket's region`, {
      cause: error,
    });
  }
  const told = byName[error.name] ?? byErrno[codeOf(error) ?? ''];
  if (told !== undefined) return new SourceError(told[0], `${path} can't be read: ${told[1]}`, { cause: error });
  if (statusOf(error) === 412) return changed(path, error);
  const [name, status] = [error.name === 'Error' ? codeOf(error) : error.name, statusOf(error)];
  const known = [name, status].filter((word) => word !== undefined).join(', ');
  const what = `${messageOf(error)}${known === '' ? '' : ` (${known})`}`;
  return new SourceError('read-failed', `${path} can't be read: ${what}`, { cause: error });
}

export function changed(path: string, cause?: unknown): SourceError {
  return new SourceError(
    'source-changed',
    `${path} was replaced while it was read, or since it was listed: what is left of it is not what was begun with. Start a new run, and let nothing be written there meanwhile`,
    { cause },
  );
}

/** Whether it may be different a moment later: the network, or a store that has too much to do. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof SluiceError || Object.hasOwn(byName, error.name)) return false;
  const status = statusOf(error);
  return status === undefined || status >= 500 || status === 429 || status === 408;
}

export function statusOf(error: unknown): number | undefined {
  for (const link of causesOf(error)) {
    if (!('$metadata' in link) || typeof link.$metadata !== 'object' || link.$metadata === null) continue;
    const metadata: { httpStatusCode?: unknown } = link.$metadata;
    if (typeof metadata.httpStatusCode === 'number') return metadata.httpStatusCode;
  }
  return undefined;
}
