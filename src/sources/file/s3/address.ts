import { ConfigError } from '../../../errors.js';

/** An object of S3, or a glob of some, by `s3://bucket/key`. */
export interface ObjectAddress {
  readonly bucket: string;
  /** As it stands in the address: nothing is decoded. */
  readonly key: string;
}

export function isS3(path: string): boolean {
  return /^s3:\/\//i.test(path);
}

/** @throws ConfigError `bad-option` for what names no object. */
export function parseS3(path: string): ObjectAddress {
  const [, bucket, key = ''] = /^s3:\/\/([^/]*)(?:\/([\s\S]*))?$/i.exec(path) ?? [];
  // docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; older buckets, and other stores, are laxer.
  if (bucket === undefined || !/^[A-Za-z0-9][\w.-]{1,254}$/.test(bucket)) {
    throw new ConfigError(
      'bad-option',
      `file source: ${path} names no bucket of S3: it must look like s3://bucket/folder/file.csv, with * in what follows the bucket only`,
    );
  }
  if (key === '' || key.endsWith('/')) {
    const folder = `s3://${bucket}/${key}`;
    throw new ConfigError(
      'bad-option',
      `file source: ${path} names no object: give one, or a glob such as ${folder}*.csv`,
    );
  }
  return { bucket, key };
}

export function s3Path(bucket: string, key: string): string {
  return `s3://${bucket}/${key}`;
}

/** What every key that a glob may match begins with. */
export function literalPrefix(glob: string): string {
  return /^[^*?[\]{}()!+@\\]*/.exec(glob)?.[0] ?? '';
}
