import type { Span } from './chunk.js';
import type { Context } from './context.js';
import type { Reject } from './record.js';
import type { RunStatus } from './sink.js';

/** Who works on a run. Alive as long as its heartbeat is younger than the lease. */
export interface Holder {
  /** Host and process, for a person to find it. */
  readonly name: string;
  readonly since: Date;
  readonly heartbeat: Date;
}

/** What is asked of a ledger when a run begins. */
export interface RunRequest {
  /** Name for the run if a new one is started. */
  readonly run: string;
  readonly job: string;
  /** `no` starts a new run; `latest` goes on with the job's latest, or starts the first; `{ run }` goes on with that one. */
  readonly resume: 'no' | 'latest' | { readonly run: string };
  readonly source: string;
  readonly sink: string;
  /** Host, process, and what in it holds. */
  readonly holder: string;
  /** False when another holder is certainly gone, such as a process of this host that has ended: it needn't be waited for. */
  mayBeAlive(holder: string): boolean;
  /** Kept with a run when it starts: its columns, and what each split looked like. */
  readonly columns: readonly string[];
  readonly fingerprints: Readonly<Record<string, string>>;
}

/** What stands of a run that is gone on with, or of a fresh one: nothing. */
export interface Checkpoint {
  readonly run: string;
  /** Whether it had been started before. */
  readonly resumed: boolean;
  /** How it ended the last time; undefined when it never did. */
  readonly ended: RunStatus | undefined;
  readonly epoch: number;
  readonly spans: readonly Span[];
  /** Rejects recorded so far. */
  readonly rejected: number;
  readonly columns: readonly string[];
  readonly fingerprints: Readonly<Record<string, string>>;
}

/** A run as a list shows it. */
export interface RunRecord {
  readonly run: string;
  readonly job: string;
  readonly source: string;
  readonly sink: string;
  readonly status: RunStatus | 'running';
  readonly epoch: number;
  readonly holder: Holder;
  /** Of a running one: whether its holder was heard of within the lease, by the ledger's own clock. */
  readonly alive?: boolean;
  readonly startedAt: Date;
  readonly endedAt: Date | undefined;
  /** Rows settled, rejects among them. */
  readonly rows: number;
  readonly rejected: number;
}

/**
 * What is already written, kept so that a run can go on after any death. Where it lives in the target itself, the sink
 * settles in the transaction of each batch; otherwise the flow calls `settle` after the rows are durable.
 */
export interface Ledger {
  /** What a resume would find, without taking the run over: undefined when there is nothing to go on with. */
  find(request: Pick<RunRequest, 'job' | 'resume'>, signal: AbortSignal): Promise<Checkpoint | undefined>;
  /**
   * Starts a run, or takes it over at a higher epoch: no transaction of a former holder can commit after this has returned,
   * so that what the checkpoint says stays true.
   * @throws SinkError `job-held` when another holder of the same job is alive, and names it.
   * @throws SinkError `no-such-run`.
   */
  begin(request: RunRequest, signal: AbortSignal): Promise<Checkpoint>;
  /** Says that the holder is alive. Throws when the run was taken over. */
  heartbeat(context: Context): Promise<void>;
  /** Only where the sink does not settle itself. Durable when it resolves. */
  settle?(spans: readonly Span[], rejects: readonly Reject[], context: Context): Promise<void>;
  /** Rejects of a run, in the order of splits and rows. */
  rejects(run: string, signal: AbortSignal): AsyncIterable<Reject>;
  /**
   * Which rejects of a run were written since, by replays of it; in the order of splits and rows. A ledger that has this
   * refuses, batch by batch, to settle such a reject a second time.
   */
  replayed?(run: string, signal: AbortSignal): AsyncIterable<Pick<Reject, 'split' | 'row'>>;
  /**
   * Notes how the run ended; a complete one is compacted. `settled` are the rows the holder was told are settled.
   * @throws SinkError `settled-lost` when fewer are: the run has failed then, and can be resumed.
   */
  finish(status: RunStatus, context: Context, settled?: number): Promise<void>;
  /** Newest first. */
  runs(signal: AbortSignal): Promise<readonly RunRecord[]>;
  /** Forgets runs that ended, but for the newest `keep` of each job. Resolves to how many. */
  prune(keep: number, signal: AbortSignal): Promise<number>;
}
