import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { SluiceError } from '../../errors.js';
import type { Address } from './address.js';
import { classify, explainConnect, explainRefusal } from './errors.js';
import { type Pool, withClient } from './pool.js';

/** What surrounds the writing is tried again for as long as a batch is, with pauses that grow up to the longest. Milliseconds. */
const patience = 60_000;
const pause = 150;
const longestPause = 1_500;

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
    let failingSince: number | undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        return await withClient(pool, signal, work);
      } catch (error) {
        if (signal.aborted) throw error;
        failingSince ??= performance.now();
        const kind = classify(error);
        const momentary = kind === 'retry' || kind === 'throttled';
        if (!momentary || performance.now() - failingSince > patience) {
          throw error instanceof SluiceError && error.code !== 'connection-lost'
            ? error
            : explainRefusal(error, address);
        }
        await sleep(Math.min(pause * attempt, longestPause), undefined, { signal });
      }
    }
  };
}
