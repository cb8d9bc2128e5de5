import type { BufferPool } from './buffer-pool.js';
import { fileBytes, standardInputBytes } from './file-bytes.js';
import { fingerprintOf } from './fingerprint.js';
import { expand, lookAt, standardInput } from './paths.js';
import type { FoundFile, Store } from './store.js';

/** This machine's files and its standard input. */
export function localFiles(pool: BufferPool): Store {
  return {
    async find(path, gzip) {
      if (path === standardInput) return [{ path, key: path, gzip }];
      const found: FoundFile[] = [];
      for (const match of await expand(path)) {
        const file = await lookAt(match, gzip);
        found.push(file.size === undefined ? file : { ...file, fingerprint: await fingerprintOf(match) });
      }
      return found;
    },

    async open({ id, bytes }, gzip, signal) {
      if (id === standardInput) return { bytes: standardInputBytes(signal), gzip };
      const found = await lookAt(id, gzip);
      const size = found.size === undefined ? undefined : Math.max(found.size, bytes ?? 0);
      return { bytes: fileBytes(id, size, pool, signal), gzip: found.gzip };
    },

    async [Symbol.asyncDispose]() {},
  };
}
