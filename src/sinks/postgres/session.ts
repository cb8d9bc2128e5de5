import type pg from 'pg';
import { type Answer, Flight, sql } from './flight.js';
import type { Lease } from './pool.js';
import type { Statement } from './target.js';

/** How long a ROLLBACK waits for the server before the connection is closed. */
const graceMs = 2_000;
/** How long an answer is waited for at an abort, once the server was asked to cancel. */
const abortGraceMs = 500;

/** One connection on which the transactions of a batch are tried, one after another. */
export class Session {
  readonly #lease: Lease;
  readonly #signal: AbortSignal;
  #broken: Error | undefined;
  #released = false;

  constructor(lease: Lease, signal: AbortSignal) {
    this.#lease = lease;
    this.#signal = signal;
  }

  /** Why the connection can't be used again. */
  get broken(): Error | undefined {
    return this.#broken ?? this.#lease.lost;
  }

  /**
   * Submits a flight and waits for it. An abort stops what was not sent and has the server cancel the rest; the
   * connection is closed if no answer comes.
   */
  async run(flight: Flight): Promise<readonly Answer[]> {
    this.#signal.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    let cancelled: Promise<void> | undefined;
    const abort = () => {
      flight.abandon('the load was stopped');
      cancelled = this.#lease.cancel();
      timer = setTimeout(() => this.#lease.hangUp(), abortGraceMs);
    };
    this.#signal.addEventListener('abort', abort, { once: true });
    try {
      return await this.#client.query(flight).done;
    } finally {
      // A request still on its way would cancel what comes next.
      await cancelled;
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', abort);
    }
  }

  /**
   * Ends whatever transaction is open, and says whether the server answered: then
   * nothing of the transaction is left, and the connection can be used again.
   */
  async rollback(cause: unknown): Promise<boolean> {
    const timer = setTimeout(() => this.#lease.hangUp(), graceMs);
    try {
      await this.#client.query(new Flight([sql('ROLLBACK')])).done;
      return true;
    } catch (error) {
      this.#broken = cause instanceof Error ? cause : new Error('the connection was lost', { cause: error });
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  /** As Judge wants it. */
  async ask(statements: readonly Statement[]): Promise<{ answers: readonly Answer[]; error?: Error }> {
    const flight = new Flight(statements);
    try {
      return { answers: await this.run(flight) };
    } catch (error) {
      if (this.broken !== undefined || !(error instanceof Error)) throw error;
      return { answers: flight.answers, error };
    }
  }

  get #client(): pg.Client {
    return this.#lease.client;
  }

  /** Gives the connection back at once, as broken. */
  close(cause: unknown): void {
    this.#broken ??= cause instanceof Error ? cause : new Error('the connection was lost');
    this.release();
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#lease.release(this.broken);
  }
}
