import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Log } from '../../contract/index.js';
import { SluiceError } from '../../errors.js';
import { type Address, describeServer } from './address.js';
import { classify, explainConnect, explainRefusal, passesAtConnect } from './errors.js';
import { type Pool, withClient } from './pool.js';

/** What surrounds the writing is tried again for as long as a batch is, with pauses that grow up to the longest. Milliseconds. */
const patience = 60_000;
const pause = 150;
const longestPause = 1_500;

/**
 * How often its connect_timeout a server is waited for that does not answer, or is away for a moment: with the usual 10 s, a minute.
 * An Aurora cluster that was paused takes about 15 s to resume, and more than 30 after a day, while connections just hang
 * (docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html); a failover takes up to a minute.
 */
const timeouts = 6;
/** Where an attempt may take for ever. Milliseconds. */
const usual = 10_000;

/** Runs `work` on a connection; again from its start when the connection is lost under it. */
export type Ask = <Result>(
  signal: AbortSignal,
  work: (client: pg.Client) => Promise<Result>,
  log?: Log,
) => Promise<Result>;

/** Questions put to a server. What hinders the first connection is told in full, and at once where it does not pass by itself. */
export function asking(pool: Pool, address: Address): Ask {
  let reached = false;

  async function reach(signal: AbortSignal, log: Log | undefined): Promise<void> {
    if (reached) return;
    const since = performance.now();
    for (let attempt = 1; ; attempt++) {
      try {
        (await pool.acquire(signal)).release();
        reached = true;
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        const explained = explainConnect(error, address);
        const waited = performance.now() - since;
        if (!passesAtConnect(error, address) || waited >= timeouts * (address.connectTimeout || usual)) throw explained;
        log?.warn({ code: explained.code, attempt }, `${describeServer(address)} is waited for: ${explained.message}`);
        await sleep(Math.min(pause * attempt, longestPause), undefined, { signal });
      }
    }
  }

  return async (signal, work, log) => {
    await reach(signal, log);
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
