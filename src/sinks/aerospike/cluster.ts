import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../contract/index.js';
import { messageOf, SinkError, SluiceError } from '../../errors.js';
import { describeAddress } from './address.js';
import { Node, type NodeSettings } from './node.js';
import { PartitionMap } from './partition-map.js';
import { type Address, infoNumber, type Peer, readPeers, readReplicas } from './wire/info.js';

/** Milliseconds between looks at the cluster; less when a write has met something. */
const tendEvery = 1_000;
const soonest = 50;
/** Looks in a row a node may miss before it is given up; once, when no other node sees it any more. */
const patience = 5;

export interface ClusterSettings extends NodeSettings {
  readonly seeds: readonly Address[];
  readonly namespace: string;
  /** The name under which nodes tell where their peers listen: for TLS or not, standard or alternate addresses. */
  readonly peersName: string;
  /** Milliseconds to find the cluster ready. */
  readonly connectTimeout: number;
}

/** The nodes of a cluster and who is master of what, looked after until it is disposed. */
export class Cluster implements AsyncDisposable {
  readonly #settings: ClusterSettings;
  readonly #nodes = new Map<string, Node>();
  readonly #map = new PartitionMap();
  readonly #closing = new AbortController();
  #namespaces: readonly string[] = [];
  #log: Log | undefined;
  #tending: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  constructor(settings: ClusterSettings) {
    this.#settings = settings;
  }

  get nodes(): readonly Node[] {
    return [...this.#nodes.values()];
  }

  masterOf(partition: number): Node | undefined {
    return this.#map.masterOf(partition);
  }

  /** Asks for a look at the cluster soon. */
  refresh(): void {
    this.#wake?.();
  }

  /**
   * Finds the nodes and all partitions of the namespace, and looks after them from then on. A server that is starting is
   * waited for.
   * @throws SinkError `no-server`, `server-not-ready`, `no-such-namespace`, `access-refused`; the signal's reason.
   */
  async connect(log: Log, signal: AbortSignal): Promise<void> {
    if (this.#tending !== undefined) return;
    this.#log = log;
    const until = performance.now() + this.#settings.connectTimeout;
    const either = AbortSignal.any([signal, this.#closing.signal]);
    for (;;) {
      const fault = await this.#look(either);
      either.throwIfAborted();
      const { namespace } = this.#settings;
      if (this.#nodes.size > 0 && this.#namespaces.length > 0 && !this.#namespaces.includes(namespace)) {
        throw new SinkError(
          'no-such-namespace',
          `Aerospike has no namespace "${namespace}", but ${this.#namespaces.join(', ')}. Check the address; namespaces are made in the server's configuration`,
        );
      }
      if (this.#nodes.size > 0 && this.#map.missing === 0) break;
      if (fault instanceof SinkError) throw fault;
      if (performance.now() > until) throw this.#notReady(fault);
      await sleep(100, undefined, { signal: either });
    }
    this.#tending = this.#tend();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new SluiceError('connection-lost', 'the sink was closed'));
    this.#wake?.();
    for (const node of this.#nodes.values()) node[Symbol.dispose]();
    await this.#tending;
  }

  #notReady(fault: unknown): SinkError {
    const { seeds, connectTimeout, namespace } = this.#settings;
    const seconds = connectTimeout / 1_000;
    const where = seeds.map(describeAddress).join(', ');
    if (this.#nodes.size > 0) {
      return new SinkError(
        'server-not-ready',
        `${this.#map.missing} partitions of namespace "${namespace}" had no master within ${seconds} s, at ${where}. Check that all nodes are running and see each other`,
      );
    }
    const starting = fault instanceof SluiceError && fault.code === 'node-not-ready';
    if (starting) {
      return new SinkError('server-not-ready', `${fault.message}, for ${seconds} s by now. Try again in a moment`, {
        cause: fault,
      });
    }
    return new SinkError(
      'no-server',
      `can't reach Aerospike at ${where} within ${seconds} s: ${messageOf(fault)}. Check host and port, and that the server is running`,
      { cause: fault },
    );
  }

  async #tend(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, tendEvery);
        this.#wake = () => {
          clearTimeout(timer);
          setTimeout(resolve, signal.aborted ? 0 : soonest);
        };
      });
      this.#wake = undefined;
      if (!signal.aborted) await this.#look(signal);
    }
  }

  /** One look at all nodes. Resolves to what was met where no node could be found; never rejects. */
  async #look(signal: AbortSignal): Promise<unknown> {
    let fault: unknown;
    if (this.#nodes.size === 0) fault = await this.#findSeeds(signal);
    const found = await Promise.all(this.nodes.map((node) => this.#ask(node, signal)));
    await this.#findPeers(found.flat(), signal);
    this.#dropDead();
    await Promise.all(this.nodes.map((node) => this.#readPartitions(node, signal)));
    for (const node of this.nodes) node.pool.tidy();
    return fault;
  }

  async #findSeeds(signal: AbortSignal): Promise<unknown> {
    let fault: unknown;
    for (const seed of this.#settings.seeds) {
      if (signal.aborted) break;
      try {
        this.#add(await Node.find(seed, this.#settings, signal));
      } catch (error) {
        // A refused login is told before a seed that can't be reached.
        if (!(fault instanceof SinkError)) fault = error;
      }
    }
    return fault;
  }

  /** How a node is; gives the peers it tells of, where they have changed. */
  async #ask(node: Node, signal: AbortSignal): Promise<readonly Peer[]> {
    try {
      const told = await node.ask(['node', 'peers-generation', 'partition-generation'], signal);
      if (told.get('node') !== node.name) {
        this.#drop(node, 'another node has its address');
        return [];
      }
      if (infoNumber(told, 'partition-generation') !== node.partitionGeneration) node.partitionGeneration = undefined;
      const generation = infoNumber(told, 'peers-generation');
      node.failures = 0;
      if (generation === node.peersGeneration) return [];
      const name = this.#settings.peersName;
      const { peers } = readPeers((await node.ask([name], signal)).get(name) ?? '');
      node.peersGeneration = generation;
      node.peers = new Set(peers.map((peer) => peer.name));
      return peers;
    } catch (error) {
      if (signal.aborted) return [];
      node.failures += 1;
      node.peersGeneration = undefined;
      node.partitionGeneration = undefined;
      this.#log?.debug({ node: node.name, error: messageOf(error) }, 'a node of Aerospike does not answer');
      return [];
    }
  }

  async #findPeers(peers: readonly Peer[], signal: AbortSignal): Promise<void> {
    const wanted = new Map(peers.map((peer) => [peer.name, peer]));
    await Promise.all(
      [...wanted.values()].map(async ({ name, addresses }) => {
        const known = this.#nodes.get(name);
        if (known !== undefined && known.failures === 0) return;
        if (known !== undefined && addresses.some((address) => sameAddress(address, known.address))) return;
        for (const address of addresses) {
          if (signal.aborted || (await this.#find(name, address, signal))) return;
        }
        // To be tried again: whoever told of it is asked anew.
        for (const node of this.#nodes.values()) if (node.peers.has(name)) node.peersGeneration = undefined;
      }),
    );
  }

  async #find(name: string, address: Address, signal: AbortSignal): Promise<boolean> {
    try {
      const node = await Node.find(address, this.#settings, signal);
      if (node.name !== name) {
        node[Symbol.dispose]();
        return false;
      }
      this.#add(node);
      return true;
    } catch (error) {
      this.#log?.debug({ node: name, error: messageOf(error) }, 'a peer can not be reached yet');
      return false;
    }
  }

  #add(node: Node): void {
    const before = this.#nodes.get(node.name);
    // Two seeds may be one node.
    if (before !== undefined && before.failures === 0) {
      node[Symbol.dispose]();
      return;
    }
    before?.[Symbol.dispose]();
    this.#nodes.set(node.name, node);
    this.#log?.info(
      { node: node.name, address: describeAddress(node.address), version: node.version },
      'a node was found',
    );
    if (this.#closing.signal.aborted) node[Symbol.dispose]();
  }

  #dropDead(): void {
    const alive = this.nodes.filter((node) => node.failures === 0);
    for (const node of this.nodes) {
      if (node.failures === 0) continue;
      const seen = alive.length === 0 || alive.some(({ peers }) => peers.has(node.name));
      if (!seen || node.failures >= patience) this.#drop(node, 'it does not answer');
    }
  }

  #drop(node: Node, why: string): void {
    node[Symbol.dispose]();
    this.#nodes.delete(node.name);
    this.#log?.warn({ node: node.name, address: describeAddress(node.address) }, `a node is given up: ${why}`);
  }

  async #readPartitions(node: Node, signal: AbortSignal): Promise<void> {
    if (node.failures > 0 || node.partitionGeneration !== undefined) return;
    // A node that sees no other, while others see each other, takes itself for the whole cluster.
    if (
      node.peers.size === 0 &&
      this.nodes.some((other) => other !== node && other.failures === 0 && other.peers.size > 0)
    )
      return;
    try {
      const told = await node.ask(['partition-generation', 'replicas'], signal);
      const generation = infoNumber(told, 'partition-generation');
      if (generation < 0) return;
      const { mastered, namespaces } = readReplicas(told.get('replicas') ?? '', this.#settings.namespace);
      this.#namespaces = namespaces;
      node.partitionGeneration = generation;
      if (mastered !== undefined) this.#map.claim(node, mastered);
    } catch (error) {
      if (signal.aborted) return;
      node.failures += 1;
      this.#log?.debug({ node: node.name, error: messageOf(error) }, 'the partitions of a node can not be read');
    }
  }
}

function sameAddress(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port;
}
