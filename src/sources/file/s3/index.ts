import type { BufferPool } from '../buffer-pool.js';
import { isGzip } from '../paths.js';
import type { Store } from '../store.js';
import { parseS3 } from './address.js';
import { connectS3, type S3 } from './client.js';
import { firstBytes, objectBytes } from './object-bytes.js';
import { findObjects, readFingerprint } from './objects.js';

/** Objects of S3, and of stores that speak its protocol. The client is made when the first of them is looked for. */
export function s3Objects(pool: BufferPool): Store {
  let connecting: Promise<S3> | undefined;
  const connected = () => {
    connecting ??= connectS3();
    return connecting;
  };

  return {
    async find(path, gzip, signal) {
      return await findObjects(await connected(), path, gzip, signal);
    },

    async open({ id: path, fingerprint }, gzip, signal) {
      const s3 = await connected();
      const found = fingerprint === undefined ? await findObjects(s3, path, gzip, signal) : [{ path, fingerprint }];
      const object = { path, ...parseS3(path), ...readFingerprint(path, found[0]?.fingerprint) };
      const head = await firstBytes(s3, object, pool, signal);
      return { bytes: objectBytes(s3, object, head, pool, signal), gzip: gzip ?? isGzip(head) };
    },

    async [Symbol.asyncDispose]() {
      const s3 = await connecting?.catch(() => undefined);
      s3?.client.destroy();
    },
  };
}
