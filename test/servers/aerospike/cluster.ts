import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../src/hosts/cli/demo/free-port.js';
import { figures, info } from './info.js';
import { AerospikeNode } from './node.js';

/** Servers of a test's own. */
export interface AerospikeCluster extends AsyncDisposable {
  readonly nodes: readonly AerospikeNode[];
  /** `host:port` of each, also of those that are not running. */
  readonly hosts: readonly string[];
  /** Waits until `nodes` (default: all) see each other and have moved all data to where it belongs. */
  settled(nodes?: readonly AerospikeNode[]): Promise<void>;
}

export interface ClusterOptions {
  readonly nodes: number;
  /** Copies of each record. Default 1. */
  readonly replication?: number;
  /** How many nodes are started at once; default all. */
  readonly started?: number;
}

/** Starts nodes of the server whose program is at `program`, on loopback and free ports, all data in a temporary folder. */
export async function startAerospike(program: string, options: ClusterOptions): Promise<AerospikeCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-aerospike-'));
  const ports = await Promise.all(Array.from({ length: options.nodes * 3 }, () => freePort()));
  const mesh = ports.filter((_, i) => i % 3 === 2);
  const nodes = mesh.map(
    (heartbeatPort, i) =>
      new AerospikeNode({
        program,
        folder: join(folder, `node-${i}`),
        id: `a${i}`,
        port: ports[i * 3]!,
        fabricPort: ports[i * 3 + 1]!,
        heartbeatPort,
        mesh: options.nodes === 1 ? [] : mesh,
        replication: options.replication ?? 1,
        cluster: `sluice-${mesh[0]}`,
      }),
  );
  const cluster: AerospikeCluster = {
    nodes,
    hosts: nodes.map((node) => node.host),

    async settled(of = nodes) {
      for (let i = 0; i < 300; i++) {
        const seen = await Promise.all(of.map((node) => isSettled(node, of.length)));
        if (seen.every(Boolean)) return;
        await sleep(200);
      }
      throw new Error(`these nodes did not become a settled cluster: ${of.map((node) => node.host).join(', ')}`);
    },

    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    const started = nodes.slice(0, options.started ?? nodes.length);
    await Promise.all(started.map((node) => node.start()));
    await cluster.settled(started);
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

async function isSettled(node: AerospikeNode, size: number): Promise<boolean> {
  const seen = await figures(node.host, 'statistics', 1_000).catch(() => new Map<string, string>());
  if (seen.get('cluster_size') !== String(size) || seen.get('migrate_partitions_remaining') !== '0') return false;
  // -1 while it does not know its partitions yet: clients are refused until then.
  return (await info(node.host, 'partition-generation', 1_000).catch(() => '-1')) !== '-1';
}
