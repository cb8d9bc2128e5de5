import { setTimeout as sleep } from 'node:timers/promises';
import { InDoubt } from '../../errors.js';
import { deadline } from './deadline.js';
import { fly, isServerError } from './flight.js';
import type { Pool } from './pool.js';

const pauseMs = 100;
/** How long an aborted run asks. */
const abortPatienceMs = 1_000;

/**
 * Whether a transaction was committed whose COMMIT was sent and never answered. The server may still be working on it:
 * asked on new connections until it says.
 * @throws InDoubt when the server does not say so within `patienceMs`, or within a second of the run's abort.
 */
export async function wasCommitted(
  xid: string,
  pool: Pool,
  patienceMs: number,
  lost: unknown,
  stopped: AbortSignal,
): Promise<boolean> {
  using patience = deadline(patienceMs, stopped, abortPatienceMs);
  const { signal } = patience;
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
    `the connection was lost at COMMIT, and the server did not tell in time whether transaction ${xid} was committed: resume the run, its ledger knows`,
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
