import { setTimeout as sleep } from 'node:timers/promises';
import { InDoubt } from '../../errors.js';
import { type Answer, fly, isServerError } from './flight.js';
import type { Pool } from './pool.js';
import type { Statement } from './target.js';

const pauseMs = 100;
/** How long the server is asked once more when the load was stopped. */
const lastWordMs = 1_000;

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
 * @throws InDoubt when the server can't be asked for `patienceMs`, or not at once after `stop`.
 */
export async function wasCommitted(
  doubtful: Doubtful,
  pool: Pool,
  patienceMs: number,
  stop: AbortSignal,
  lost: unknown,
): Promise<boolean> {
  let last = lost;
  const asked = async (signal: AbortSignal): Promise<boolean | undefined> => {
    try {
      return await askWhether(doubtful, pool, signal);
    } catch (error) {
      last = error;
      return undefined;
    }
  };
  const signal = AbortSignal.any([stop, AbortSignal.timeout(patienceMs)]);
  while (!signal.aborted) {
    const committed = await asked(signal);
    if (committed !== undefined) return committed;
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
  const committed = stop.aborted ? await asked(AbortSignal.timeout(lastWordMs)) : undefined;
  if (committed !== undefined) return committed;
  throw new InDoubt(
    'commit-in-doubt',
    `the connection was lost at COMMIT, and the server could not be asked whether transaction ${doubtful.xid} was committed: resume the run, its ledger knows`,
    { cause: last },
  );
}

/** Undefined while the server is at work on it. */
async function askWhether({ xid, settled }: Doubtful, pool: Pool, signal: AbortSignal): Promise<boolean | undefined> {
  try {
    const [row] = await ask({ text: 'SELECT pg_xact_status($1::xid8)', values: [xid] }, pool, signal);
    const status = row?.[0];
    if (status === 'in progress') return undefined;
    if (settled === undefined || status === 'aborted') return status === 'committed';
    return (await ask(settled, pool, signal)).length > 0;
  } catch (error) {
    // A number the server has not reached yet: after a crash or a failover it never saw the transaction.
    if (isServerError(error) && error.code === '22023') return false;
    throw error;
  }
}

async function ask(statement: Statement, pool: Pool, signal: AbortSignal): Promise<Answer['rows']> {
  const lease = await pool.acquire(signal);
  const hangUp = () => lease.hangUp();
  signal.addEventListener('abort', hangUp, { once: true });
  try {
    return (await fly(lease.client, [statement]))[0]?.rows ?? [];
  } finally {
    signal.removeEventListener('abort', hangUp);
    lease.release(lease.lost);
  }
}
