import type { Sink } from './sink.js';

/**
 * Room beside the target, in which to try how fast it takes records: the target itself is not written to. All that was made
 * is gone when this is disposed, whatever happened.
 */
export interface Scratch extends AsyncDisposable {
  /**
   * An empty copy of the target, as a sink for one load, which is to have this run's name. The account that the target's own
   * sink would keep is kept in the scratch room. The copy before it is dropped, so its load must have ended.
   */
  copy(run: string): Promise<Sink>;
  /** Milliseconds from a question to its answer: the median of some. */
  roundTrip(signal: AbortSignal): Promise<number>;
}
