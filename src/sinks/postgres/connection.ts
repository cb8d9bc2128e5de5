import { Socket } from 'node:net';
import pg from 'pg';
import { SluiceError } from '../../errors.js';
import type { CancelKey } from './cancel.js';
import { takesNoWrites } from './errors.js';
import type { Encryption } from './tls.js';

/** Who answers for a connection at the moment: a pool, or those that keep it for the next. */
export interface Owner {
  /** The connection is no more; why, it says itself. */
  onLost(connection: Connection): void;
  /** The server it leads to says that it takes no writes. */
  onReadOnly(): void;
}

/** How long closing waits for the server's side before it just hangs up. Milliseconds. */
const farewell = 2_000;

/** A client with what the server told it. It listens for as long as it lives, and tells whoever owns it then. */
export class Connection {
  readonly client: pg.Client;
  readonly ssl: Encryption;
  owner: Owner;
  /** By the wall clock, in milliseconds. */
  readonly made = Date.now();
  /** Told by the server; RDS Proxy and its like may have none. */
  key: CancelKey | undefined;
  lost: Error | undefined;
  /** It leads to a server that takes no writes: to be closed once it is given back. */
  forsaken = false;
  /** The server was asked to cancel what it was at, and may do so late. */
  cancelled = false;

  constructor(config: pg.ClientConfig, ssl: Encryption, owner: Owner) {
    this.client = new pg.Client({ ...config, ssl });
    this.ssl = ssl;
    this.owner = owner;
    const { client } = this;
    client.connection.on('backendKeyData', ({ processID, secretKey }: CancelKey) => {
      this.key = { processID, secretKey };
    });
    client.connection.on('errorMessage', (message: { code?: string; routine?: string }) => {
      if (takesNoWrites(message)) this.owner.onReadOnly();
    });
    client.on('error', (error) => this.#lose(error));
    client.on('end', () => this.#lose(new SluiceError('connection-lost', 'the connection to PostgreSQL ended')));
  }

  #lose(error: Error): void {
    this.lost ??= error;
    this.owner.onLost(this);
  }

  /** Whether another may use it as if it were new. */
  get clean(): boolean {
    return this.lost === undefined && !this.forsaken && this.client.getTransactionStatus() === 'I';
  }

  /** Whether the process stays alive for it; at first it does. */
  holdProcess(held: boolean): void {
    const { stream } = this.client.connection;
    if (!(stream instanceof Socket)) return;
    if (held) stream.ref();
    else stream.unref();
  }

  /** The stream is looked up at that moment: it is another once TLS has begun. */
  hangUp(reason?: Error): void {
    this.client.connection.stream.destroy(reason);
  }

  /** Never rejects, and never waits for long. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.hangUp(), farewell);
    try {
      await this.client.end();
    } finally {
      clearTimeout(timer);
    }
  }
}
