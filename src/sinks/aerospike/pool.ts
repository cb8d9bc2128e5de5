import { SluiceError } from '../../errors.js';
import { Connection, type ConnectionSettings } from './connection.js';
import type { Session } from './login.js';
import type { Address } from './wire/info.js';

/** Connections to one node at most; the official clients have the same bound. */
export const mostConnections = 100;
/** Milliseconds after which one that rests is not used again, for a server may close it after a minute. */
const longestRest = 55_000;

interface Resting {
  readonly connection: Connection;
  readonly since: number;
}

/** Connections to one node. */
export class Pool implements Disposable {
  readonly #address: Address;
  readonly #settings: ConnectionSettings;
  readonly #session: Session;
  /** All that are open. */
  readonly #open = new Set<Connection>();
  #resting: Resting[] = [];
  #opening = 0;
  #closed = false;
  readonly #waiting: (() => void)[] = [];

  constructor(address: Address, settings: ConnectionSettings, session: Session) {
    this.#address = address;
    this.#settings = settings;
    this.#session = session;
  }

  /** One that rests, or a new one; waits when all are taken. @throws as Connection.open and Session.enter. */
  async take(signal: AbortSignal): Promise<Connection> {
    for (;;) {
      if (this.#closed) throw new SluiceError('connection-lost', 'the node does not belong to the cluster any more');
      for (let resting = this.#resting.pop(); resting !== undefined; resting = this.#resting.pop()) {
        const { connection, since } = resting;
        if (connection.lost === undefined && performance.now() - since < longestRest) return connection;
        connection.close();
      }
      if (this.#open.size + this.#opening < mostConnections) return await this.#connect(signal);
      await this.#released(signal);
    }
  }

  /** Gives one back to rest. */
  give(connection: Connection): void {
    if (connection.lost === undefined) this.#resting.push({ connection, since: performance.now() });
    this.#waiting.shift()?.();
  }

  /** Closes what has rested too long. */
  tidy(): void {
    const earliest = performance.now() - longestRest;
    for (const { connection, since } of this.#resting) if (since < earliest) connection.close();
    this.#resting = this.#resting.filter(({ connection }) => connection.lost === undefined);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const connection of this.#open) connection.close();
  }

  async #connect(signal: AbortSignal): Promise<Connection> {
    this.#opening += 1;
    let connection: Connection | undefined;
    try {
      connection = await Connection.open(this.#address, this.#settings, signal);
      await this.#session.enter(connection);
      if (this.#closed) connection.close();
      if (connection.lost !== undefined) throw connection.lost;
      const opened = connection;
      this.#open.add(opened);
      opened.whenLost(() => {
        this.#open.delete(opened);
        this.#waiting.shift()?.();
      });
      return opened;
    } catch (error) {
      connection?.close();
      this.#waiting.shift()?.();
      throw error;
    } finally {
      this.#opening -= 1;
    }
  }

  #released(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = () => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.push(wake);
    });
  }
}
