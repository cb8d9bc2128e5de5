import type { Limit } from '../../src/contract/index.js';

/** A limit for those who know the number. */
export function fixed(batches: number): Limit {
  return { current: batches, onSample() {} };
}
