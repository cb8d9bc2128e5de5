import { setMaxListeners } from 'node:events';
import type pg from 'pg';
import pgpass from 'pgpass';
import { codeOf, SinkError, SluiceError } from '../../errors.js';
import { type Address, describeServer } from './address.js';
import { requestCancel } from './cancel.js';
import { Connection, type Owner } from './connection.js';
import { asConnectionLost } from './errors.js';
import { iamTokens, type Tokens } from './iam.js';
import type { KeptConnections } from './kept-connections.js';
import { type Encryption, encryptions, mayFallBack } from './tls.js';

/** A connection that is one borrower's alone until released. */
export interface Lease {
  readonly client: pg.Client;
  /** Why the connection is no more, once it is: set before a query on it fails because of that. */
  readonly lost: Error | undefined;
  /** Asks the server to end what the connection is at. Resolves when that was passed on, or could not be within half a second. */
  cancel(): Promise<void>;
  /** Ends the connection at once, without a word to the server: whoever waits on it is told that it was lost. */
  hangUp(): void;
  /** Gives it back, for others to use unless it is broken, lost or left within a transaction. A second call does nothing. */
  release(broken?: Error): void;
}

/** Connections made when asked for and kept when given back; how many there are is up to those who ask. */
export interface Pool extends AsyncDisposable {
  /** Rejects with what hindered the connection, as `classify` takes it, or with the signal's reason. */
  acquire(signal: AbortSignal): Promise<Lease>;
  /** Connections to the server that are there for the next to ask, be they kept from an earlier pool. */
  readonly spare: number;
  /**
   * Tells which process of the server serves a lent client (pg_backend_pid). Is it the one that the client was told when it
   * connected, no pooler is between, and connections may be kept when the pool is closed.
   */
  servedBy(client: pg.Client, processID: number): void;
}

/** A line that was silent for so long is asked whether anybody is there; 10 s later, at the latest, a query on it fails. Milliseconds. */
const silence = 10_000;
const cancelTimeout = 500;

/** SQLSTATEs of a server that does not let us in. */
const refused: ReadonlySet<string> = new Set(['28P01', '28000']);

/** With `kept`, its first connections are those of an earlier pool, and its own are left there in the end. */
export function createPool(address: Address, kept?: KeptConnections): Pool {
  return new ConnectionPool(address, kept);
}

class ConnectionPool implements Pool, Owner {
  readonly #address: Address;
  readonly #kept: KeptConnections | undefined;
  /** No pooler is between, as far as was looked. */
  #direct = false;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  /** What sslmode allows, narrowed to what worked once something did. */
  #encryptions: readonly Encryption[] | undefined;
  readonly #closing = new AbortController();
  readonly #tokens: Tokens | undefined;

  constructor(address: Address, kept: KeptConnections | undefined) {
    this.#address = address;
    this.#kept = kept;
    if (address.iam) this.#tokens = iamTokens(address);
    // Each connection being made listens, and there may be many.
    setMaxListeners(0, this.#closing.signal);
  }

  async acquire(signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    const connection = this.#idle.pop() ?? (await this.#takeKept(signal)) ?? (await this.#connect(signal));
    let released = false;
    return {
      client: connection.client,
      get lost() {
        return connection.lost;
      },
      cancel: async () => {
        if (connection.key === undefined || connection.lost !== undefined) return;
        connection.cancelled = true;
        await requestCancel(this.#address, connection.ssl, connection.key, AbortSignal.timeout(cancelTimeout));
      },
      hangUp: () => connection.hangUp(),
      release: (broken) => {
        if (released) return;
        released = true;
        if (!broken && connection.clean && !this.#closing.signal.aborted) this.#idle.push(connection);
        else void connection.close();
      },
    };
  }

  get spare(): number {
    return this.#idle.length + (this.#kept?.count(this.#address) ?? 0);
  }

  servedBy(client: pg.Client, processID: number): void {
    const connection = [...this.#all].find((one) => one.client === client);
    this.#direct = connection?.key?.processID === processID;
  }

  async #takeKept(signal: AbortSignal): Promise<Connection | undefined> {
    const connection = await this.#kept?.take(this.#address, this, signal);
    if (connection === undefined) return undefined;
    this.#all.add(connection);
    if (!this.#closing.signal.aborted) return connection;
    void connection.close();
    throw this.#closing.signal.reason;
  }

  async #connect(signal: AbortSignal): Promise<Connection> {
    const { connectTimeout } = this.#address;
    const attempt = new AbortController();
    const tooLate = () =>
      attempt.abort(new SluiceError('connect-timeout', `${describeServer(this.#address)} did not answer in time`));
    const timer = connectTimeout > 0 ? setTimeout(tooLate, connectTimeout) : undefined;
    const abort = (event: Event) =>
      attempt.abort(event.target === signal ? signal.reason : this.#closing.signal.reason);
    signal.addEventListener('abort', abort);
    this.#closing.signal.addEventListener('abort', abort);
    try {
      this.#encryptions ??= await encryptions(this.#address, attempt.signal);
      return await this.#tryEach(this.#encryptions, attempt.signal);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      this.#closing.signal.removeEventListener('abort', abort);
    }
  }

  /** The way that works is the first to be tried from then on. */
  async #tryEach(ways: readonly Encryption[], signal: AbortSignal): Promise<Connection> {
    let failure: unknown;
    for (const way of ways) {
      try {
        const connection = await this.#open(way, signal);
        this.#encryptions = [way, ...ways.filter((other) => other !== way)];
        return connection;
      } catch (error) {
        if (!mayFallBack(error)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  }

  async #open(ssl: Encryption, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    const address = this.#address;
    const config = {
      host: address.host,
      port: address.port,
      user: address.user,
      database: address.database,
      password: () => this.#tokens?.get() ?? findPassword(address),
      sslnegotiation: 'postgres' as const,
      application_name: address.applicationName,
      enableChannelBinding: address.channelBinding,
      options: address.options,
      keepAlive: true,
      keepAliveInitialDelayMillis: silence,
    };
    const connection = new Connection(config, ssl, this);
    const abort = () => connection.hangUp(signal.reason);
    signal.addEventListener('abort', abort);
    try {
      await connection.client.connect();
      signal.throwIfAborted();
      this.#all.add(connection);
      return connection;
    } catch (error) {
      connection.hangUp();
      // Those kept for others are in the way of those who load.
      if (codeOf(error) === '53300') this.#kept?.clear();
      if (refused.has(codeOf(error) ?? '')) this.#tokens?.forget();
      if (signal.aborted) throw signal.reason;
      if (codeOf(error) !== undefined) throw error;
      throw new SluiceError('connection-lost', `${describeServer(address)} ended the connection`, { cause: error });
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  onLost(lost: Connection): void {
    this.#all.delete(lost);
    const index = this.#idle.indexOf(lost);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  /** After a failover the host's name leads elsewhere, but connections stay where they are: all are made anew. */
  onReadOnly(): void {
    for (const connection of this.#all) connection.forsaken = true;
    for (const connection of this.#idle.splice(0)) void connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(
      new SluiceError('closed', 'this sink is closed, for it served a load that has ended. Make a sink for each load'),
    );
    const idle = new Set(this.#idle.splice(0));
    const end = async (connection: Connection) => {
      const kept = this.#direct && idle.has(connection) && (await this.#kept?.putAway(this.#address, connection));
      if (kept) this.#all.delete(connection);
      else await connection.close();
    };
    await Promise.all([...this.#all].map(end));
  }
}

/** Lends a connection to `work`; with the signal it is hung up under it. */
export async function withClient<Result>(
  pool: Pool,
  signal: AbortSignal,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const lease = await pool.acquire(signal);
  const abort = () => lease.hangUp();
  signal.addEventListener('abort', abort);
  try {
    return await work(lease.client);
  } catch (error) {
    throw signal.aborted ? signal.reason : asConnectionLost(error, lease.lost);
  } finally {
    signal.removeEventListener('abort', abort);
    lease.release();
  }
}

/** The address's own, else the password file's. Called only when the server asks for one. */
async function findPassword({ host, port, user, database, password }: Address): Promise<string> {
  if (password !== undefined) return password;
  // In the file, as for libpq, a Unix socket goes by the name of localhost.
  const key = { host: host.startsWith('/') ? 'localhost' : host, port, database, user };
  const found = await new Promise<string | undefined>((resolve) => pgpass(key, resolve));
  if (found !== undefined) return found;
  throw new SinkError(
    'no-password',
    `the server asks for the password of user "${user}": give it in the address, in PGPASSWORD or in a password file (PGPASSFILE or ~/.pgpass, readable by you alone)`,
  );
}
