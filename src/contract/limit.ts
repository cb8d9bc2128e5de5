/** What was seen while one batch was written. Times are milliseconds of a monotonic clock. */
export interface Sample {
  readonly startedAt: number;
  readonly endedAt: number;
  /** When the oldest of the batches still in flight was started; `endedAt` when there is none. Those set back are not counted. */
  readonly oldestInFlight: number;
  /** Permits out, this one included, when the write started. */
  readonly inFlight: number;
  /** Permits out while it lasted, on average over time. */
  readonly meanInFlight: number;
  readonly rows: number;
  readonly bytes: number;
  /** `throttled`: a try was turned away for there is too much to do; the permit is still out, and the batch is tried again. */
  readonly outcome: 'written' | 'throttled' | 'failed';
  /** True when for at least half of the time all permits were out and another batch was waiting for one. */
  readonly saturated: boolean;
  /** True when the batch was tried more than once: its time then holds pauses, and says little about the target. */
  readonly retried: boolean;
  /** Of `throttled`: what the target said, such as `53300 too_many_connections`. */
  readonly reason?: string;
}

/** How many batches may be in flight. Pure arithmetic over samples: no clock, no timers, no I/O. */
export interface Limit {
  readonly current: number;
  onSample(sample: Sample): void;
}

/** A limit that also says how large the batches are to be. */
export interface Gate extends Limit {
  /** Bytes a batch at most, from the next one on. */
  readonly batchBytes: number;
}

/** Something the gate did to what is in flight, and why. */
export interface GateEvent {
  /** Milliseconds of the samples' clock. */
  readonly at: number;
  /** `change`: from now on it is so. `trial`: it was so for a moment, and was taken back. */
  readonly kind: 'change' | 'trial';
  readonly of: 'workers' | 'batch';
  /** Batches in flight, or bytes a batch. */
  readonly from: number;
  readonly to: number;
  /** For a person: `throughput +18 %`. */
  readonly reason: string;
}
