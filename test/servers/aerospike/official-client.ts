import { fork } from 'node:child_process';

/** Lists are arrays, maps objects, bytes Buffers, integers beyond 2^53 bigints. */
type Bins = Readonly<Record<string, unknown>>;

/** A record as the official client reads it. */
interface ReadRecord {
  readonly bins: Bins;
  readonly generation: number;
  /** Seconds. */
  readonly ttl: number;
}

type AerospikeKey = number | bigint | string | Buffer;

/** The official client, in a process of its own: what is held against it was written by somebody else's encoder. */
export interface OfficialClient extends AsyncDisposable {
  /** The records in the order of their keys; null where there is none. */
  read(namespace: string, set: string, keys: readonly AerospikeKey[]): Promise<(ReadRecord | null)[]>;
  put(namespace: string, set: string, key: number | string, bins: Bins): Promise<void>;
  /** All records of a set, in no order; `key` is null where it was not stored with the record. */
  scan(namespace: string, set: string): Promise<readonly { readonly key: unknown; readonly bins: Bins }[]>;
}

interface Waiting {
  resolve(result: never): void;
  reject(error: Error): void;
}

/** `hosts`: `host:port` of at least one node. */
export async function officialClient(hosts: readonly string[]): Promise<OfficialClient> {
  const child = fork(new URL('official-client-process.js', import.meta.url), { serialization: 'advanced' });
  const waiting = new Map<number, Waiting>();
  let calls = 0;
  child.on('message', ({ id, result, error }: { id: number; result: never; error?: string }) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`the official client: ${error}`));
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      for (const { reject } of waiting.values()) reject(new Error(`the official client ended: ${code ?? signal}`));
      resolve();
    });
  });
  const call = <Result>(name: string, ...args: readonly unknown[]): Promise<Result> =>
    new Promise((resolve, reject) => {
      const id = calls++;
      waiting.set(id, { resolve, reject });
      child.send({ id, call: name, args });
    });
  const client: OfficialClient = {
    read: (...args) => call('read', ...args),
    put: (...args) => call('put', ...args),
    scan: (...args) => call('scan', ...args),
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
  try {
    await call('connect', hosts.join(','));
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
  return client;
}
