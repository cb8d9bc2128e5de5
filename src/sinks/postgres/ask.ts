import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { SluiceError } from '../../errors.js';
import type { Address } from './address.js';
import { classify, explainConnect, explainRefusal } from './errors.js';
import { type Pool, withClient } from './pool.js';

/** What surrounds the writing is tried this often when the connection is lost, with pauses that grow by this, in ms. */
const tries = 6;
const pause = 150;

/** Runs `work` on a connection; again from its start when the connection is lost under it. */
export type Ask = <Result>(signal: AbortSignal, work: (client: pg.Client) => Promise<Result>) => Promise<Result>;

/** Questions put to a server. What hinders the first connection is told in full and at once, and not tried again. */
export function asking(pool: Pool, address: Address): Ask {
  let reached = false;

  async function reach(signal: AbortSignal): Promise<void> {
    if (reached) return;
    try {
      (await pool.acquire(signal)).release();
      reached = true;
    } catch (error) {
      throw signal.aborted ? error : explainConnect(error, address);
    }
  }

  return async (signal, work) => {
    await reach(signal);
    for (let attempt = 1; ; attempt++) {
      try {
        return await withClient(pool, signal, work);
      } catch (error) {
        if (signal.aborted) throw error;
        if (attempt === tries || classify(error) !== 'retry') {
          throw error instanceof SluiceError && error.code !== 'connection-lost'
            ? error
            : explainRefusal(error, address);
        }
        await sleep(pause * attempt, undefined, { signal });
      }
    }
  };
}
