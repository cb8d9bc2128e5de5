import { resolve } from 'node:path';
import type { Checkpoint, Context, Ledger, Reject, RunRecord, RunRequest, RunStatus, Span } from '../contract/index.js';
import { SinkError, SluiceError } from '../errors.js';
import { stringifyJson } from '../formats/json.js';
import { isCode } from './file/folder.js';
import { JobFolder, type Segment } from './file/job-folder.js';
import { version } from './file/record.js';
import { rejectsOf } from './file/rejects.js';
import { readSegment, type SegmentState } from './file/segment.js';
import { Tenure } from './file/tenure.js';
import type { Turn } from './file/turns.js';

/** A holder whose heartbeat is older than this may be taken over. Milliseconds. */
const lease = 15_000;

/**
 * A ledger in a folder of this machine, for sinks that keep none of their own: the load notes there what is written, each
 * time after it is. Made when the first run begins. What it holds, and what it promises, is told in docs/ledger.md.
 *
 * Rows are written before they are noted, so that a crash between the two writes some of them once more when the run is
 * gone on with: right for a sink whose records replace themselves, at least once for others.
 *
 * One ledger may serve any number of jobs and processes of one machine. Over a network file system it keeps account, but
 * that of two holders only one goes on is then no more certain than that file system's caches are fresh.
 *
 * Its methods throw SluiceError: `ledger-damaged` when what a file says can't be trusted, `ledger-unwritable` when the disk
 * takes no more, `ledger-unusable` where the folder can't be made or read, `ledger-version`, and `taken-over` for a holder
 * that lost its run to another; SinkError `job-held` and `no-such-run`.
 */
export function fileLedger(folder: string): Ledger {
  return new FileLedger(resolve(folder));
}

class FileLedger implements Ledger {
  readonly #root: string;
  /** By job: what this ledger has begun, and not finished. */
  readonly #tenures = new Map<string, Tenure>();

  constructor(root: string) {
    this.#root = root;
  }

  async find({ job, resume }: Pick<RunRequest, 'job' | 'resume'>): Promise<Checkpoint | undefined> {
    if (resume === 'no') return undefined;
    const folder = JobFolder.of(this.#root, job);
    const state = await this.#present(async () => {
      const segment = await choose(folder, resume);
      return segment && (await readSegment(segment.path));
    });
    return state && checkpointOf(state, state.header.epoch, true);
  }

  async begin(request: RunRequest, signal: AbortSignal): Promise<Checkpoint> {
    return await this.#present(() => this.#begin(request, signal));
  }

  async #begin(request: RunRequest, signal: AbortSignal): Promise<Checkpoint> {
    const { job, resume, holder } = request;
    const folder = JobFolder.of(this.#root, job);
    const own = this.#tenures.get(job);
    if (own?.holder === holder) {
      // Begun before, and the answer was lost.
      return checkpointOf(await own.read(), own.epoch, own.run !== request.run);
    }
    for (;;) {
      signal.throwIfAborted();
      const before = await folder.turns.latest();
      const found = await choose(folder, resume);
      if (before && isHeld(before) && (before.holder === undefined || request.mayBeAlive(before.holder))) {
        throw held(before);
      }
      const turn = (before?.number ?? 0) + 1;
      if (!(await folder.turns.take(turn, holder, found?.run ?? request.run))) continue;
      try {
        const { tenure, checkpoint } = await enter(folder, turn, request);
        this.#tenures.set(job, tenure);
        return checkpoint;
      } catch (error) {
        await folder.turns.release(turn);
        throw error;
      }
    }
  }

  async heartbeat(context: Context): Promise<void> {
    await this.#tenure(context).beat();
  }

  async settle(spans: readonly Span[], rejects: readonly Reject[], context: Context): Promise<void> {
    await this.#tenure(context).append(stringifyJson({ spans, rejects })!);
  }

  async *rejects(run: string, signal: AbortSignal): AsyncGenerator<Reject, void, void> {
    for (const folder of await JobFolder.all(this.#root)) {
      const segment = await folder.latest(run);
      if (segment !== undefined) return yield* rejectsOf(segment.path, signal);
    }
  }

  async finish(status: RunStatus, context: Context): Promise<void> {
    const tenure = this.#tenure(context);
    this.#tenures.delete(context.job);
    await tenure.finish(status, context.log);
  }

  async runs(signal: AbortSignal): Promise<readonly RunRecord[]> {
    const records: RunRecord[] = [];
    for (const folder of await JobFolder.all(this.#root)) {
      const turn = await folder.turns.latest();
      for (const { run } of await folder.runs()) {
        signal.throwIfAborted();
        const record = await this.#present(async () => {
          const segment = await folder.latest(run);
          return segment && recordOf(segment, await readSegment(segment.path), turn);
        });
        if (record !== undefined) records.push(record);
      }
    }
    return records.sort((a, b) => b.startedAt.getTime() - a.startedAt.getTime() || (a.run < b.run ? 1 : -1));
  }

  async prune(keep: number, signal: AbortSignal): Promise<number> {
    let pruned = 0;
    for (const folder of await JobFolder.all(this.#root)) {
      const turn = await folder.turns.latest();
      for (const [age, { run, turn: last }] of (await folder.runs()).entries()) {
        signal.throwIfAborted();
        if (age < keep || (turn?.run === run && !turn.released)) continue;
        await this.#present(() => folder.remove(run, last));
        pruned += 1;
      }
    }
    return pruned;
  }

  /** Once more when a file was swept away between finding and opening it: a later one has what it held. */
  async #present<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (attempt < 10 && isCode(error, 'ENOENT')) continue;
        if (!(error instanceof Error) || !('syscall' in error)) throw error;
        throw new SluiceError(
          'ledger-unusable',
          `the ledger in ${this.#root} can't be used: ${error.message}. Give a folder that this user may write to`,
          { cause: error },
        );
      }
    }
  }

  /** @throws SluiceError when this holder has no run, or another one. */
  #tenure({ job, run, epoch }: Context): Tenure {
    const tenure = this.#tenures.get(job);
    if (tenure?.run === run && tenure.epoch === epoch) return tenure;
    throw new SluiceError('taken-over', `run ${run} is not held at epoch ${epoch} here: nothing may be noted for it`);
  }
}

/** Goes on with a run, or starts one, in a turn that was taken: nobody else does so until a later turn is taken. */
async function enter(
  folder: JobFolder,
  turn: number,
  request: RunRequest,
): Promise<{ tenure: Tenure; checkpoint: Checkpoint }> {
  const { run, job, resume, source, sink, holder, columns, fingerprints } = request;
  const base = await choose(folder, resume);
  const since = new Date().toISOString();
  if (base !== undefined) {
    const { tenure, state } = await Tenure.goOn(folder, base, turn, { holder, since });
    return { tenure, checkpoint: checkpointOf(state, tenure.epoch, true) };
  }
  const tenure = await Tenure.start(folder, turn, {
    sluice: 'ledger',
    version,
    run,
    job,
    epoch: 1,
    source,
    sink,
    columns: [...columns],
    fingerprints,
    started: since,
    holder,
    since,
  });
  const checkpoint = { run, resumed: false, ended: undefined, epoch: 1, spans: [], rejected: 0, columns, fingerprints };
  return { tenure, checkpoint };
}

/**
 * The segment of the run that is to be gone on with; undefined when a new one is to be started.
 * @throws SinkError when a run was asked for by its name, and is not there.
 */
async function choose(folder: JobFolder, resume: RunRequest['resume']): Promise<Segment | undefined> {
  if (resume === 'no') return undefined;
  if (resume === 'latest') return await folder.latest();
  const segment = await folder.latest(resume.run);
  if (segment !== undefined) return segment;
  throw new SinkError(
    'no-such-run',
    `the ledger has no run ${resume.run} of this job: see sluice runs, and check that source, table, mode and key are the same`,
  );
}

function isHeld({ released, heartbeat }: Turn): boolean {
  return !released && Math.abs(Date.now() - heartbeat.getTime()) < lease;
}

function checkpointOf({ header, spans, rejected, ended }: SegmentState, epoch: number, resumed: boolean): Checkpoint {
  const { run, columns, fingerprints } = header;
  return { run, resumed, ended: ended?.status, epoch, spans, rejected, columns, fingerprints };
}

function recordOf(
  segment: Segment,
  { header, spans, rejected, ended }: SegmentState,
  turn: Turn | undefined,
): RunRecord {
  const { run, job, source, sink, epoch, holder, since, started } = header;
  const current = turn?.number === segment.turn ? turn : undefined;
  return {
    run,
    job,
    source,
    sink,
    status: ended?.status ?? (current ? 'running' : 'failed'),
    epoch,
    holder: { name: holder, since: new Date(since), heartbeat: current?.heartbeat ?? ended?.at ?? new Date(since) },
    startedAt: new Date(started),
    endedAt: ended?.at,
    rows: spans.reduce((sum, { rows }) => sum + rows, 0),
    rejected,
  };
}

function held({ holder, run, since, heartbeat }: Turn): SinkError {
  return new SinkError(
    'job-held',
    `this job is being run by ${holder ?? 'an unknown holder'} since ${since.toISOString()} (run ${run ?? 'unknown'}, last heard of ${heartbeat.toISOString()})`,
  );
}
