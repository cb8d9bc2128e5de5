import { setTimeout as sleep } from 'node:timers/promises';
import { InDoubt } from '../../errors.js';
import { fly, isServerError } from './flight.js';
import type { Pool } from './pool.js';

const pauseMs = 100;

/**
 * Whether a transaction was committed whose COMMIT was sent and never answered. The server may still be working on it:
 * asked on new connections until it says.
 * @throws InDoubt when the server can't be asked for `patienceMs`.
 */
export async function wasCommitted(xid: string, pool: Pool, patienceMs: number, lost: unknown): Promise<boolean> {
  const signal = AbortSignal.timeout(patienceMs);
  let last = lost;
  while (!signal.aborted) {
    try {
      const status = await statusOf(xid, pool, signal);
      if (status !== 'in progress') return status === 'committed';
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

async function statusOf(xid: string, pool: Pool, signal: AbortSignal): Promise<string | null> {
  const lease = await pool.acquire(signal);
  const hangUp = () => lease.client.connection.stream.destroy();
  signal.addEventListener('abort', hangUp, { once: true });
  try {
    const [answer] = await fly(lease.client, [{ text: 'SELECT pg_xact_status($1::xid8)', values: [xid] }]);
    return answer?.rows[0]?.[0] ?? null;
  } finally {
    signal.removeEventListener('abort', hangUp);
    lease.release(lease.lost);
  }
}
