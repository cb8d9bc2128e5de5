import type { Checkpoint, Ledger, RunStatus } from '../../contract/index.js';
import { ConfigError, SluiceError } from '../../errors.js';
import { jobId } from '../../flow/prepare.js';
import { newRunName } from '../../flow/run-name.js';
import type { PreparedJob } from '../../job/prepare.js';
import type { LoadEvent } from './event.js';

/** What an invocation is to do about a run. */
export type WhichRun =
  | { readonly kind: 'start'; readonly run: string }
  | { readonly kind: 'go on'; readonly run: string }
  /** It is named by the event, and was completed before. */
  | { readonly kind: 'done'; readonly run: string; readonly status: RunStatus };

/**
 * The run an event means. Without a name: the job's latest where it was cut short, else a new one. Where rows are only
 * ever added, a run that failed is gone on with as well, for a new one would add its rows once more.
 * @throws SinkError `no-such-run` when the event is to go on with one that is not there.
 */
export async function whichRun(
  { source, sink }: PreparedJob,
  ledger: Ledger | undefined,
  event: LoadEvent,
  signal: AbortSignal,
): Promise<WhichRun> {
  const fresh = newRunName(new Date());
  if (ledger === undefined) {
    if (event.continue === undefined) return { kind: 'start', run: event.run ?? fresh };
    throw new ConfigError('no-ledger', 'there is nothing to go on from: this load keeps no ledger');
  }
  const job = jobId(source, sink);
  const name = event.continue ?? event.run;
  if (name === undefined) {
    const latest = await ledger.find({ job, resume: 'latest' }, signal);
    const open = latest !== undefined && (sink.traits.rewrites ? cutShort(latest) : !complete(latest.ended));
    return open ? { kind: 'go on', run: latest.run } : { kind: 'start', run: fresh };
  }
  const named = await find(ledger, job, name, event.continue === undefined, signal);
  if (named === undefined) return { kind: 'start', run: name };
  if (named.ended !== undefined && complete(named.ended)) return { kind: 'done', run: named.run, status: named.ended };
  return { kind: 'go on', run: named.run };
}

async function find(
  ledger: Ledger,
  job: string,
  run: string,
  mayBeNew: boolean,
  signal: AbortSignal,
): Promise<Checkpoint | undefined> {
  try {
    return await ledger.find({ job, resume: { run } }, signal);
  } catch (error) {
    if (mayBeNew && error instanceof SluiceError && error.code === 'no-such-run') return undefined;
    throw error;
  }
}

function cutShort({ ended }: Checkpoint): boolean {
  return ended === undefined || ended === 'interrupted';
}

function complete(status: RunStatus | undefined): boolean {
  return status === 'complete' || status === 'complete-with-rejects';
}
