import type pg from 'pg';
import type { Context, Reject, Span } from '../../contract/index.js';
import type { Statement } from './target.js';

/** A connection held for one batch. */
export interface Lease {
  readonly client: pg.Client;
  /** Set once the connection is gone (its 'end' or 'error' was seen). */
  readonly lost: Error | undefined;
  /** Gives the connection back; a broken one is closed and not used again. */
  release(broken?: Error): void;
}

export interface Pool extends AsyncDisposable {
  acquire(signal: AbortSignal): Promise<Lease>;
}

/** What the ledger adds to the transaction of a batch. */
export interface LedgerStatements {
  /** First in the transaction: the run's lock, shared, and the check of its epoch. They fail when the epoch is an older one. */
  fence(context: Context): readonly Statement[];
  /** Last before COMMIT. */
  settle(spans: readonly Span[], rejects: readonly Reject[], context: Context): Statement;
}
