import picomatch from 'picomatch';
import { ConfigError, SourceError } from '../../../errors.js';
import { isGzip, isPattern } from '../paths.js';
import type { FoundFile } from '../store.js';
import { literalPrefix, type ObjectAddress, parseS3, s3Path } from './address.js';
import type { S3 } from './client.js';
import { s3Error, statusOf } from './errors.js';

/** The objects that an address or a glob stands for, in the order of their keys. One request for each thousand of them that begin alike. */
export async function findObjects(
  s3: S3,
  path: string,
  gzip: boolean | undefined,
  signal: AbortSignal,
): Promise<readonly FoundFile[]> {
  const address = parseS3(path);
  try {
    return isPattern(address.key)
      ? await list(s3, path, address, gzip, signal)
      : [await lookAt(s3, address, gzip, signal)];
  } catch (error) {
    signal.throwIfAborted();
    throw s3Error(path, error);
  }
}

async function list(
  { client, sdk }: S3,
  path: string,
  { bucket, key }: ObjectAddress,
  gzip: boolean | undefined,
  signal: AbortSignal,
): Promise<readonly FoundFile[]> {
  const matches = picomatch(key);
  const found: FoundFile[] = [];
  const prefix = literalPrefix(key);
  let token: string | undefined;
  do {
    const page = await client.send(
      new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...(token && { ContinuationToken: token }) }),
      { abortSignal: signal },
    );
    for (const { Key, Size = 0, ETag } of page.Contents ?? []) {
      // A key that ends so stands for a folder, in consoles.
      if (Key === undefined || ETag === undefined || Key.endsWith('/')) continue;
      const file = foundFile(bucket, Key, Size, ETag, gzip ?? /\.gz$/i.test(Key));
      // An object whose key only looks like a glob is that object.
      if (Key === key) return [file];
      if (matches(Key)) found.push(file);
    }
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
  if (found.length === 0) {
    throw new ConfigError('no-files', `no object matches ${path} (of those that begin with ${s3Path(bucket, prefix)})`);
  }
  return found;
}

/** By its first two bytes, which an empty object has not. */
async function lookAt(
  { client, sdk }: S3,
  { bucket, key }: ObjectAddress,
  gzip: boolean | undefined,
  signal: AbortSignal,
): Promise<FoundFile> {
  const where = { Bucket: bucket, Key: key };
  const options = { abortSignal: signal };
  try {
    const answer = await client.send(new sdk.GetObjectCommand({ ...where, Range: 'bytes=0-1' }), options);
    const size = sizeOf(answer);
    // Where a store answers at all for an empty object, it is not to be believed that bytes will come.
    const head = size === 0 ? new Uint8Array() : await answer.Body?.transformToByteArray();
    return foundFile(bucket, key, size, answer.ETag ?? '', gzip ?? (head !== undefined && isGzip(head)));
  } catch (error) {
    if (statusOf(error) !== 416) throw error;
    const { ETag = '' } = await client.send(new sdk.HeadObjectCommand(where), options);
    return foundFile(bucket, key, 0, ETag, gzip ?? false);
  }
}

function foundFile(bucket: string, key: string, size: number, etag: string, gzip: boolean): FoundFile {
  const path = s3Path(bucket, key);
  return { path, key: path, size, gzip, fingerprint: fingerprintOf(size, etag) };
}

/** Of the whole object, of which the answer holds a part. */
function sizeOf(answer: { ContentRange?: string | undefined; ContentLength?: number | undefined }): number {
  return Number(/\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1] ?? answer.ContentLength);
}

/** An object that is written again gets another ETag, unless its bytes are the same. */
function fingerprintOf(size: number, etag: string): string {
  return `${size} ${etag}`;
}

/** What a fingerprint was made of. */
export function readFingerprint(path: string, fingerprint: string | undefined): { size: number; etag: string } {
  const [, size, etag = ''] = /^(\d+) (.+)$/.exec(fingerprint ?? '') ?? [];
  if (size !== undefined) return { size: Number(size), etag };
  throw new SourceError('read-failed', `${path}: the store does not tell its size and its ETag`);
}
