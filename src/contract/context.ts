/** What the parts say while they work. pino's logger fits as it is. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** One run of one job. Handed to every part, unchanged for the whole run. */
export interface Context {
  /** Names this run; new for each start, kept by a resume. */
  readonly run: string;
  /** Names the job: its source, target, mode and key; never workers, batch size or secrets. */
  readonly job: string;
  /** Raised by each resume. A holder of an older epoch may no longer write. 0 before the run has begun. */
  readonly epoch: number;
  /** Aborted when the work is to be abandoned at once. */
  readonly signal: AbortSignal;
  readonly log: Log;
}
