import type { Report, RunStatus } from '../../contract/index.js';
import type { LoadEvent } from './event.js';

/** What a handler answers. What went wrong is thrown instead, so that Lambda counts it, tries again, and keeps the event. */
export type Result = Ended | Done | Continue | Held;

/** The load is complete. */
export interface Ended {
  readonly status: 'complete' | 'complete-with-rejects';
  readonly run: string;
  readonly report: Report;
}

/** The run that the event names was complete before. Nothing was read. */
export interface Done {
  readonly status: RunStatus;
  readonly run: string;
  readonly report: null;
}

/** The time was over before the load was. What is written is committed. */
export interface Continue {
  readonly status: 'continue';
  /** Null when not even a run had been begun. */
  readonly run: string | null;
  /** The event to invoke the function with next: it goes on exactly where this invocation stood. */
  readonly next: LoadEvent;
  /** Of this invocation; null when it had to be left behind. */
  readonly report: Report | null;
}

/** Another invocation works on the same job, or did until a moment ago. Nothing was written. */
export interface Held {
  readonly status: 'held';
  /** Names the holder. */
  readonly message: string;
  /** The event to come again with, a while later: a holder that died is one for 15 s more. */
  readonly next: LoadEvent;
}
