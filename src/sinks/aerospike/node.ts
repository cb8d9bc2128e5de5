import { SluiceError } from '../../errors.js';
import { describeAddress } from './address.js';
import { Connection, type ConnectionSettings } from './connection.js';
import { Session, type User } from './login.js';
import { Pool } from './pool.js';
import { type Address, infoNumber } from './wire/info.js';

/** How nodes are spoken to. */
export interface NodeSettings {
  readonly connection: ConnectionSettings;
  readonly user: User | undefined;
}

/** Milliseconds a node is given to say how it is, so that one that stalls does not keep the others from being seen. */
const askTimeout = 2_000;
/** A node's partition generation while it does not know its partitions yet. */
const notReady = -1;

/** One node of the cluster, as it was found at an address. */
export class Node implements Disposable {
  readonly name: string;
  readonly address: Address;
  readonly version: string;
  /** It takes batches of writes: server 6.0 and newer. */
  readonly batches: boolean;
  readonly pool: Pool;
  /** What its peers and its partitions were when they were last read; undefined when they are to be read anew. */
  peersGeneration: number | undefined;
  partitionGeneration: number | undefined;
  /** Names of the nodes it sees. */
  peers: ReadonlySet<string> = new Set();
  /** Times in a row that it did not answer. */
  failures = 0;
  /** It belongs to the cluster no more. */
  gone = false;
  readonly #settings: NodeSettings;
  readonly #session: Session;
  /** Kept for asking how it is, so that a load never stands in the way of that. */
  #asking: Connection | undefined;

  private constructor(
    address: Address,
    settings: NodeSettings,
    session: Session,
    asking: Connection,
    told: ReadonlyMap<string, string>,
  ) {
    this.name = told.get('node') ?? '';
    this.address = address;
    this.version = told.get('build') ?? '';
    this.batches = (told.get('features') ?? '').split(';').includes('batch-any');
    this.pool = new Pool(address, settings.connection, session);
    this.#settings = settings;
    this.#session = session;
    this.#asking = asking;
  }

  /**
   * Connects and sees who is there.
   * @throws SluiceError `node-not-ready` while it starts; as Connection.open, and SinkError `access-refused`.
   */
  static async find(address: Address, settings: NodeSettings, signal: AbortSignal): Promise<Node> {
    const session = new Session(settings.user);
    const connection = await Connection.open(address, quick(settings), signal);
    try {
      await session.enter(connection);
      const told = await connection.info(['node', 'build', 'features', 'partition-generation']);
      const where = describeAddress(address);
      if ((told.get('node') ?? '') === '') {
        throw new SluiceError(
          'not-authenticated',
          `${where} does not say which node it is: it may want a user and a password`,
        );
      }
      if (infoNumber(told, 'partition-generation') === notReady) {
        throw new SluiceError('node-not-ready', `${where} is still starting: it does not know its partitions yet`);
      }
      return new Node(address, settings, session, connection, told);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Asks for values by their names. @throws as Connection.open. */
  async ask(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    let connection = this.#asking;
    try {
      if (connection === undefined || connection.lost !== undefined) {
        connection = await Connection.open(this.address, quick(this.#settings), signal);
        await this.#session.enter(connection);
        if (this.gone) throw new SluiceError('connection-lost', 'the node does not belong to the cluster any more');
        this.#asking = connection;
      }
      return await connection.info(names);
    } catch (error) {
      connection?.close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.gone = true;
    this.#asking?.close();
    this.pool[Symbol.dispose]();
  }
}

function quick({ connection }: NodeSettings): ConnectionSettings {
  return { ...connection, timeout: Math.min(askTimeout, connection.timeout) };
}
