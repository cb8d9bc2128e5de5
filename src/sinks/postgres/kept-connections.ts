import type { Address } from './address.js';
import type { Connection, Owner } from './connection.js';
import { type Answer, Flight, sql } from './flight.js';
import type { Statement } from './target.js';

/** Milliseconds. */
export interface Keeping {
  /** The server ends a kept connection when it was idle for so long. Default: a minute. */
  readonly idle?: number;
  /** For so long a kept connection is taken for one that is there; below `idle`, so that the two don't meet. Default: 50 s. */
  readonly trusted?: number;
  /**
   * A connection is closed when it was made so long ago: who may log in no more is not to go on for ever by one that is kept. Default: 15
   * minutes, which is what a token of IAM is good for.
   */
  readonly lifetime?: number;
  /** How long an answer is waited for before the line is taken for dead. Default: half a second. */
  readonly patience?: number;
  /** The wall clock: a monotonic one may stand still while the process is frozen. */
  readonly now?: () => number;
}

interface Kept {
  readonly connection: Connection;
  /** By the wall clock, from before the server was told: its own time began later. */
  readonly since: number;
}

/**
 * Connections that outlive the load that made them, for the next one with the same address. That they end is left to the
 * server (idle_session_timeout, PostgreSQL 14 and newer), for a process that is frozen in between runs no timer. A kept connection
 * holds no process.
 */
export class KeptConnections implements Owner {
  readonly #byAddress = new Map<string, Kept[]>();
  readonly #idle: number;
  readonly #trusted: number;
  readonly #lifetime: number;
  readonly #patience: number;
  readonly #now: () => number;

  constructor({
    idle = 60_000,
    trusted = 50_000,
    lifetime = 15 * 60_000,
    patience = 500,
    now = Date.now,
  }: Keeping = {}) {
    this.#idle = idle;
    this.#trusted = trusted;
    this.#lifetime = lifetime;
    this.#patience = patience;
    this.#now = now;
  }

  /** Connections of an address that would be taken for good now. */
  count(address: Address): number {
    const kept = this.#byAddress.get(keyOf(address)) ?? [];
    return kept.filter((one) => this.#isFresh(one)).length;
  }

  /**
   * Keeps a connection that is clean; its owner has it no more then. Resolves to false when it can't be kept: the server is
   * too old, is not the one that the connection was made with (a pooler is between), or did not answer. Then it is to be closed.
   */
  async putAway(address: Address, connection: Connection): Promise<boolean> {
    if (!connection.clean || connection.cancelled || connection.key === undefined) return false;
    const since = this.#now();
    if (!this.#isFresh({ connection, since })) return false;
    const told = await this.#ask(connection, endWhenIdle(connection.key.processID, this.#idle));
    if (told === 'silent' || told?.rows.length !== 1 || !connection.clean) return false;
    connection.owner = this;
    connection.holdProcess(false);
    const key = keyOf(address);
    const kept = this.#byAddress.get(key) ?? [];
    kept.push({ connection, since });
    this.#byAddress.set(key, kept);
    return true;
  }

  /** One that answers, and is then the caller's; hung up when the signal is aborted. Those that are old or dead are closed. */
  async take(address: Address, owner: Owner, signal: AbortSignal): Promise<Connection | undefined> {
    const key = keyOf(address);
    for (;;) {
      const next = this.#byAddress.get(key)?.pop();
      if (next === undefined) return undefined;
      const { connection } = next;
      if (!this.#isFresh(next)) {
        connection.hangUp();
        continue;
      }
      connection.holdProcess(true);
      const abort = () => connection.hangUp();
      signal.addEventListener('abort', abort);
      const answer = await this.#ask(connection, sql('RESET idle_session_timeout'));
      signal.removeEventListener('abort', abort);
      if (answer !== undefined && answer !== 'silent' && connection.clean) {
        connection.owner = owner;
        return connection;
      }
      connection.hangUp();
      signal.throwIfAborted();
      // The others went the same way: to wait for each in turn would take long.
      if (answer === 'silent') this.#discard(this.#byAddress.get(key));
    }
  }

  /** For room at a server that has none. */
  clear(): void {
    for (const kept of this.#byAddress.values()) this.#discard(kept);
  }

  #discard(kept: Kept[] = []): void {
    for (const { connection } of kept.splice(0)) connection.hangUp();
  }

  onLost(lost: Connection): void {
    for (const [key, kept] of this.#byAddress) {
      const left = kept.filter(({ connection }) => connection !== lost);
      if (left.length > 0) this.#byAddress.set(key, left);
      else this.#byAddress.delete(key);
    }
  }

  /** Kept connections are asked for nothing that writes. */
  onReadOnly(): void {}

  #isFresh({ connection, since }: Kept): boolean {
    const now = this.#now();
    return now >= since && now - since < this.#trusted && now - connection.made < this.#lifetime;
  }

  /** Undefined when there is no answer to be had; whoever asks hangs up then. */
  async #ask(connection: Connection, statement: Statement): Promise<Answer | 'silent' | undefined> {
    let silent = false;
    // What came in while the process was busy is read before its time is called over.
    let immediate: NodeJS.Immediate | undefined;
    const timer = setTimeout(() => {
      immediate = setImmediate(() => {
        silent = true;
        connection.hangUp();
      });
    }, this.#patience);
    try {
      return (await connection.client.query(new Flight([statement])).done)[0];
    } catch {
      return silent ? 'silent' : undefined;
    } finally {
      clearTimeout(timer);
      clearImmediate(immediate);
    }
  }
}

/**
 * Sets the timeout, or leaves a shorter one of the session's own, and gives one row. None where the process that serves is not
 * the one told when the connection was made, and where there is no such setting (13): then nothing is set.
 */
function endWhenIdle(processID: number, idle: number): Statement {
  return {
    text: `SELECT set_config(name, least($2::int, nullif(setting::int, 0))::text, false) FROM pg_catalog.pg_settings
WHERE name = 'idle_session_timeout' AND pg_catalog.pg_backend_pid() = $1::int`,
    values: [processID, idle],
  };
}

/** All that makes a connection what it is. */
function keyOf({ connectTimeout: _, ...address }: Address): string {
  return JSON.stringify(address);
}
