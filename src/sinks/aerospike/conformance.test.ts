import { describe, inject } from 'vitest';
import { scratchSet } from '../../../test/aerospike/scratch-set.js';
import { sinkConformance } from '../../../test/conformance/sink.js';
import { aerospike } from './index.js';

const hosts = inject('aerospikeHosts');

describe.skipIf(hosts.length === 0)('aerospike', () => {
  describe.each(['update', 'replace', 'create-only'] as const)('in mode %s', (mode) => {
    sinkConformance({
      bad: { id: 7_000, name: 'x'.repeat(1_500_000) },
      async target() {
        const scratch = await scratchSet(hosts);
        const url = `aerospike://${hosts.join(',')}/${scratch.namespace}/${scratch.set}`;
        return {
          sink: () => aerospike({ url, key: 'id', bins: ['id', 'name'], mode }),
          async held() {
            const records = await scratch.official.scan(scratch.namespace, scratch.set);
            return records
              .map(({ bins }) => ({ id: Number(bins.id), name: typeof bins.name === 'string' ? bins.name : null }))
              .sort((a, b) => a.id - b.id);
          },
          [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
        };
      },
    });
  });
});
