/** What was seen while one batch was written. Times are milliseconds of a monotonic clock. */
export interface Sample {
  readonly startedAt: number;
  readonly endedAt: number;
  /** Permits out, this one included, when the write started. */
  readonly inFlight: number;
  readonly rows: number;
  readonly bytes: number;
  readonly outcome: 'written' | 'throttled' | 'failed';
  /** True when all permits were out and another batch was waiting for one. */
  readonly saturated: boolean;
}

/** How many batches may be in flight. Pure arithmetic over samples: no clock, no timers, no I/O. */
export interface Limit {
  readonly current: number;
  onSample(sample: Sample): void;
}
