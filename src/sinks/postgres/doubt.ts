import { setTimeout as sleep } from 'node:timers/promises';
import { InDoubt } from '../../errors.js';
import { type Answer, fly, isServerError } from './flight.js';
import type { Pool } from './pool.js';
import type { Statement } from './target.js';

const pauseMs = 100;

/** A transaction whose COMMIT was sent and never answered. */
export interface Doubtful {
  readonly xid: string;
  /** Gives a row if what the transaction settled is there. */
  readonly settled: Statement | undefined;
}

/**
 * Whether a transaction was committed whose COMMIT was sent and never answered. The server may still be working on it:
 * asked on new connections until it says. That it is over is told by its number; that it was committed only by what it
 * left behind, for a server that has crashed gives the numbers its log did not hold to others.
 * @throws InDoubt when the server can't be asked for `patienceMs`.
 */
export async function wasCommitted(
  { xid, settled }: Doubtful,
  pool: Pool,
  patienceMs: number,
  lost: unknown,
): Promise<boolean> {
  const signal = AbortSignal.timeout(patienceMs);
  let last = lost;
  while (!signal.aborted) {
    try {
      const [status] = await ask({ text: 'SELECT pg_xact_status($1::xid8)', values: [xid] }, pool, signal);
      if (status?.[0] === 'in progress') throw new Error('the server is still at work on it');
      if (settled === undefined || status?.[0] === 'aborted') return status?.[0] === 'committed';
      return (await ask(settled, pool, signal)).length > 0;
    } catch (error) {
      // A transaction number the server has not reached yet: this server, after a failover, never saw the transaction.
      if (isServerError(error) && error.code === '22023') return false;
      last = error;
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
  throw new InDoubt(
    'commit-in-doubt',
    `the connection was lost at COMMIT, and the server could not be asked within ${Math.round(patienceMs / 1000)} s whether transaction ${xid} was committed: resume the run, its ledger knows`,
    { cause: last },
  );
}

async function ask(statement: Statement, pool: Pool, signal: AbortSignal): Promise<Answer['rows']> {
  const lease = await pool.acquire(signal);
  const hangUp = () => lease.client.connection.stream.destroy();
  signal.addEventListener('abort', hangUp, { once: true });
  try {
    return (await fly(lease.client, [statement]))[0]?.rows ?? [];
  } finally {
    signal.removeEventListener('abort', hangUp);
    lease.release(lease.lost);
  }
}
