import type { Ledger, Reject, RunRecord } from '../../contract/index.js';

/** The rejects of a run that no replay has written since. */
export interface OpenRejects {
  /** The first of them, in the order of splits and rows. */
  readonly first: readonly Reject[];
  /** Rejects of the run that were written since. */
  readonly replayed: number;
}

/** Goes through both lists of the ledger, which have one order, side by side: of neither more than a page is held. */
export async function openRejects(
  ledger: Ledger,
  { run, source }: Pick<RunRecord, 'run' | 'source'>,
  most: number,
  signal: AbortSignal,
): Promise<OpenRejects> {
  // What a replay refused again is known by the run it was first refused in.
  const origin = replayedRun(source) ?? run;
  const replayed = ledger.replayed?.(origin, signal)[Symbol.asyncIterator]();
  const rejects = ledger.rejects(run, signal)[Symbol.asyncIterator]();
  const first: Reject[] = [];
  let written = 0;
  let done = await replayed?.next();
  for (let reject = await rejects.next(); !reject.done; reject = await rejects.next()) {
    while (done && !done.done && order(done.value, reject.value) < 0) done = await replayed?.next();
    if (done && !done.done && order(done.value, reject.value) === 0) written += 1;
    else if (first.length < most) first.push(reject.value);
    if (first.length === most && (!done || done.done)) break;
  }
  await rejects.return?.();
  await replayed?.return?.();
  return { first, replayed: written };
}

/** The run that a source of rejects has them from. */
export function replayedRun(source: string): string | undefined {
  return /^replay of (.+)$/.exec(source)?.[1];
}

type Place = Pick<Reject, 'split' | 'row'>;

/** As a database sorts text by its bytes. */
function order(a: Place, b: Place): number {
  if (a.split === b.split) return a.row - b.row;
  return Buffer.compare(Buffer.from(a.split), Buffer.from(b.split));
}
