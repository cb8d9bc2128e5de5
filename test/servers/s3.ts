import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import S3rver from 's3rver';
import { freePort } from '../../src/hosts/cli/demo/free-port.js';

/** A server that speaks S3's protocol, with a bucket to write to. */
export interface S3Server extends AsyncDisposable {
  readonly url: string;
  readonly bucket: string;
  /** What a client that follows AWS's rules is told by its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Gives the object's ETag. */
  put(key: string, body: string | Uint8Array): Promise<string>;
}

export interface S3Kind {
  readonly name: string;
  start(): Promise<S3Server>;
}

/** Whether Python's moto is installed on this machine: its server knows If-Match and long listings. */
const motoInstalled = spawnSync('moto_server', ['-h'], { stdio: 'ignore' }).status === 0;
if (!motoInstalled) console.warn('NOT RUN: S3 on moto_server, which is not installed (Debian: python3-moto)');

/** The servers that can be had here: npm's s3rver always. */
export const s3Servers: readonly S3Kind[] = [
  { name: 's3rver', start: startS3rver },
  ...(motoInstalled ? [{ name: 'moto', start: startMoto }] : []),
];

export async function startS3rver(): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-s3-'));
  const server = new S3rver({ address: '127.0.0.1', port: 0, silent: true, directory });
  const { port } = await server.run();
  return await serve(`http://127.0.0.1:${port}`, async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });
}

async function startMoto(): Promise<S3Server> {
  const port = await freePort();
  const child = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  try {
    await answering(url, child);
    return await serve(url, () => end(child));
  } catch (error) {
    await end(child);
    throw error;
  }
}

async function serve(url: string, stop: () => Promise<unknown>): Promise<S3Server> {
  // The keys that s3rver knows; moto takes any.
  const env = {
    AWS_ENDPOINT_URL_S3: url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'S3RVER',
    AWS_SECRET_ACCESS_KEY: 'S3RVER',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
  const credentials = { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY };
  const client = new S3Client({ endpoint: url, region: env.AWS_REGION, credentials, forcePathStyle: true });
  const bucket = 'shop';
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return {
    url,
    bucket,
    env,
    async put(Key, Body) {
      const { ETag } = await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
      return ETag!;
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      await stop();
    },
  };
}

async function answering(url: string, server: ChildProcess): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (server.exitCode !== null) throw new Error('moto_server ended');
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      return;
    await sleep(100);
  }
  throw new Error('moto_server does not answer');
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return;
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await ended;
}
