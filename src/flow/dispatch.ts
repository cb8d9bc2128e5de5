import type { Batch } from '../contract/index.js';
import type { Limiter, Permit } from '../gate/limiter.js';
import type { Batcher } from './batcher.js';
import type { KeyOrder } from './key-order.js';

/**
 * Starts one worker a batch as the gate gives permits, and resolves when all have ended. With an `order`, batches that share
 * a key are in flight one after another. The first failure, of the
 * source or of a worker, is handed to `onFailure`, which is to stop the rest by `signal`.
 */
export async function dispatch(
  batcher: Batcher,
  limiter: Limiter,
  order: KeyOrder | undefined,
  signal: AbortSignal,
  write: (batch: Batch, permit: Pick<Permit, 'setBack'>) => Promise<void>,
  onFailure: (error: unknown) => void,
): Promise<void> {
  const workers = new Set<Promise<void>>();
  try {
    for (;;) {
      const batch = await batcher.next(signal);
      if (batch === undefined) break;
      const release = await order?.claim(batch, signal);
      const permit = await limiter.acquire(signal);
      const seen = { rows: batch.rows, bytes: batch.bytes };
      const worker = write(batch, permit)
        .then(
          () => permit.release({ ...seen, outcome: 'written' }),
          (error: unknown) => {
            permit.release({ ...seen, outcome: 'failed' });
            onFailure(error);
          },
        )
        .finally(() => {
          release?.();
          workers.delete(worker);
        });
      workers.add(worker);
    }
  } catch (error) {
    onFailure(error);
  }
  await Promise.all(workers);
}
