import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { Batch, Context, Intake, Sink, SinkPlan, SinkTraits, WriteResult } from '../../contract/index.js';
import { ConfigError, SluiceError } from '../../errors.js';
import { describeTarget, parseTarget, type Target } from './address.js';
import { Cluster } from './cluster.js';
import type { TlsSettings } from './connection.js';
import { classify } from './errors.js';
import { type Layout, layoutOf, planColumns } from './layout.js';
import { User } from './login.js';
import { type AerospikeOptions, aerospikeOptions, type Settings } from './options.js';
import { mostConnections } from './pool.js';
import { info2, info3 } from './wire/protocol.js';
import type { WriteSettings } from './wire/write-message.js';
import { Writer } from './write.js';

export { type AerospikeOptions, aerospikeOptions } from './options.js';

/** Beyond a thousand records a batch takes longer, and no more of them are written. */
const maxBatchRows = 1_000;
const maxBatchBytes = 1024 * 1024;

/**
 * A set of an Aerospike cluster as a sink, over the cluster's own wire protocol. A record that is written again replaces
 * itself, so that a load may be gone on with after any death. See the README beside this file.
 * @throws ConfigError when an option or the address is not valid. Nothing is connected yet.
 */
export function aerospike(options: AerospikeOptions): Sink {
  const parsed = aerospikeOptions.safeParse(options);
  if (!parsed.success) throw new ConfigError('bad-option', `sink aerospike: ${z.prettifyError(parsed.error)}`);
  const settings = parsed.data;
  return new AerospikeSink(parseTarget(settings.url), settings);
}

class AerospikeSink implements Sink {
  readonly name = 'aerospike';
  readonly identity: string;
  readonly traits: SinkTraits = { maxBatchRows, maxBatchBytes, guarantee: 'idempotent', rewrites: true };
  readonly key: readonly string[];
  readonly classify = classify;
  readonly #target: Target;
  readonly #settings: Settings;
  readonly #layout: Layout;
  #cluster: Cluster | undefined;
  #writer: Writer | undefined;

  constructor(target: Target, settings: Settings) {
    this.identity = [describeTarget(target), settings.mode, settings.key].join(' ');
    this.key = [settings.key];
    this.#target = target;
    this.#settings = settings;
    this.#layout = layoutOf(settings, target.set);
  }

  async plan(intake: Intake, context: Context): Promise<SinkPlan> {
    const planned = intake.columns.length === 0 ? undefined : planColumns(intake, this.#layout);
    const cluster = await this.#connect(context);
    return {
      columns: planned?.columns ?? [],
      others: planned?.others ?? [],
      free: mostConnections,
      statements: planned === undefined ? [] : [this.#describe([...planned.bins, ...planned.others], cluster)],
      notes: [...batchNotes(cluster), ...keyNotes(intake, this.#settings)],
    };
  }

  async open(): Promise<void> {
    const cluster = this.#cluster;
    if (cluster === undefined) throw new SluiceError('not-planned', 'plan comes before open');
    this.#writer = new Writer({
      cluster,
      layout: this.#layout,
      settings: writeSettings(this.#target, this.#settings),
      timeout: Math.round(this.#settings.timeout * 1_000),
      firstWins: this.#settings.mode === 'create-only',
      mayBeAbsent: this.#settings.mode === 'update',
    });
  }

  async write(batch: Batch, context: Context): Promise<WriteResult> {
    if (this.#writer === undefined) throw new SluiceError('not-open', 'open comes before write');
    return await this.#writer.write(batch, context);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster?.[Symbol.asyncDispose]();
  }

  async #connect({ log, signal }: Context): Promise<Cluster> {
    const { tls, alternate, timeout, connectTimeout } = this.#settings;
    const { seeds, namespace, user, password } = this.#target;
    this.#cluster ??= new Cluster({
      seeds,
      namespace,
      peersName: `peers-${tls === false ? 'clear' : 'tls'}-${alternate ? 'alt' : 'std'}`,
      connectTimeout: connectTimeout * 1_000,
      connection: { tls: await readTls(tls), timeout: timeout * 1_000 },
      user: user === undefined ? undefined : new User(user, password ?? ''),
    });
    await this.#cluster.connect(log, signal);
    return this.#cluster;
  }

  #describe(bins: readonly string[], cluster: Cluster): string {
    const { namespace, set } = this.#target;
    const { mode, ttl } = this.#settings;
    const nodes = cluster.nodes.length;
    const expiry = ttl === 'default' ? '' : `, TTL ${ttl}`;
    return `${mode} ${namespace}${set === '' ? '' : `.${set}`} by key "${this.#layout.key}": bins ${bins.join(', ')}${expiry}; ${nodes === 1 ? '1 node' : `${nodes} nodes`}`;
  }
}

const protocolTtl = { default: 0, never: -1, keep: -2 } as const;

function writeSettings({ namespace, set }: Target, settings: Settings): WriteSettings {
  const { mode, ttl, generation, generationCheck, durableDelete, sendKey } = settings;
  const check = generationCheck === 'equal' ? info2.generation : info2.generationGreater;
  return {
    namespace,
    set,
    info2:
      info2.write |
      (generation === undefined ? 0 : check) |
      (durableDelete ? info2.durableDelete : 0) |
      (mode === 'create-only' ? info2.createOnly : 0),
    info3: mode === 'update-only' ? info3.updateOnly : mode === 'replace' ? info3.createOrReplace : 0,
    ttl: typeof ttl === 'number' ? ttl : protocolTtl[ttl],
    sendKey,
  };
}

async function readTls(tls: Settings['tls']): Promise<TlsSettings | undefined> {
  if (tls === false) return undefined;
  if (tls === true) return {};
  const read = async (path: string | undefined) => {
    if (path === undefined) return undefined;
    return await readFile(path).catch((cause: unknown) => {
      throw new ConfigError('no-tls-file', `the file ${path} of the option tls can't be read`, { cause });
    });
  };
  return { ca: await read(tls.ca), cert: await read(tls.cert), key: await read(tls.key) };
}

function batchNotes(cluster: Cluster): string[] {
  const old = cluster.nodes.filter(({ batches }) => !batches).map(({ name, version }) => `${name} (${version})`);
  if (old.length === 0) return [];
  return [`records are sent one by one to ${old.join(', ')}: batches of writes came with Aerospike 6.0`];
}

/** Integer 5 and text "5" are different keys, and from CSV all keys are texts. */
function keyNotes({ columns, sample, textual }: Intake, { key, keyType }: Settings): string[] {
  const at = columns.indexOf(key);
  if (keyType !== 'auto' || !textual || at < 0 || sample.length === 0) return [];
  const digits = sample.every((cells) => typeof cells[at] === 'string' && /^-?(?:0|[1-9]\d*)$/.test(cells[at]));
  if (!digits) return [];
  return [
    `keys are written as texts such as "${String(sample[0]![at])}": give keyType integer (--key-type) where they are integers`,
  ];
}
