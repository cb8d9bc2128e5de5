import type { S3Client } from '@aws-sdk/client-s3';
import { awsSdk } from '../../../aws-sdk.js';

/** What is used of the package. */
export interface S3 {
  readonly client: S3Client;
  readonly sdk: typeof import('@aws-sdk/client-s3');
}

/**
 * A client of S3, by what AWS's own tools go by: AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID and the rest of the chain of
 * credentials. With AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL it talks to another store; most of those know buckets by the
 * path, not by the host.
 * @throws ConfigError `no-aws-sdk`.
 */
export async function connectS3(environment: NodeJS.ProcessEnv = process.env): Promise<S3> {
  const sdk = await load();
  const region = environment.AWS_REGION || environment.AWS_DEFAULT_REGION;
  const elsewhere = Boolean(environment.AWS_ENDPOINT_URL_S3 || environment.AWS_ENDPOINT_URL);
  const client = new sdk.S3Client({
    ...(region && { region }),
    ...(elsewhere && { forcePathStyle: true }),
    // A bucket may lie in another region than we do.
    followRegionRedirects: true,
    // Parts of objects have no checksum of their own.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: 10_000 },
  });
  return { client, sdk };
}

function load(): Promise<S3['sdk']> {
  return awsSdk('@aws-sdk/client-s3', 'files are to be read from S3', () => import('@aws-sdk/client-s3'));
}
