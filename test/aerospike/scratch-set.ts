import { randomBytes } from 'node:crypto';
import type { Sink } from '../../src/contract/index.js';
import { type AerospikeOptions, aerospike } from '../../src/sinks/aerospike/index.js';
import { info } from '../servers/aerospike/info.js';
import { type OfficialClient, officialClient } from '../servers/aerospike/official-client.js';

/** A set of its own on some server, empty at first, and the official client to look into it. */
export interface ScratchSet extends AsyncDisposable {
  readonly hosts: readonly string[];
  readonly namespace: string;
  readonly set: string;
  readonly official: OfficialClient;
}

export async function scratchSet(hosts: readonly string[], namespace = 'test'): Promise<ScratchSet> {
  const set = `sluice_${randomBytes(6).toString('hex')}`;
  const official = await officialClient(hosts);
  return {
    hosts,
    namespace,
    set,
    official,
    async [Symbol.asyncDispose]() {
      await official[Symbol.asyncDispose]();
      for (const host of hosts) await info(host, `truncate:namespace=${namespace};set=${set}`).catch(() => {});
    },
  };
}

/** The sink under test, on a scratch set. */
export function sinkOn({ hosts, namespace, set }: ScratchSet, options: Partial<AerospikeOptions> = {}): Sink {
  return aerospike({ url: `aerospike://${hosts.join(',')}/${namespace}/${set}`, key: 'id', ...options });
}
