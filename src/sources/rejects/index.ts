import { randomUUID } from 'node:crypto';
import type {
  Chunk,
  Ledger,
  ReadContext,
  Reject,
  ResumePoint,
  RunRecord,
  Source,
  Split,
} from '../../contract/index.js';
import { ConfigError, SourceError } from '../../errors.js';
import { Gathering } from './gather.js';
import { type ReplayOptions, replayOptions } from './options.js';
import { bad, readRejects } from './read-rejects.js';

export { type ReplayOptions, replayOptions } from './options.js';

/**
 * The rejects of a run, to be loaded again: from a rejects file whose records were mended, or as the ledger keeps them,
 * after the table was. A reject is known by its split and row: one that a replay has written is passed over from then on
 * (`skipped`), whichever file it stands in; one that is refused again keeps its split and row, and can be replayed again.
 * Needs a load whose sink keeps its own ledger. A reject that stands in a file twice is taken once, the first time.
 * @throws ConfigError `bad-option`. `splits` throws ConfigError `no-ledger`; `read` throws SourceError
 *   `bad-rejects-file`, `other-run`, `no-such-file`, `no-such-run`, `not-resumable`.
 */
export function replay(options: ReplayOptions): Source {
  const parsed = replayOptions.safeParse(options);
  if (!parsed.success) throw new ConfigError('bad-option', 'source rejects: give the run, and the path of its rejects');
  const { run, path } = parsed.data;
  const identity = `replay of ${run}`;
  return {
    name: 'rejects',
    identity,
    // What was written is passed over the second time.
    once: true,

    async *splits({ ledger }: ReadContext): AsyncGenerator<Split> {
      ledgerOf(ledger);
      // Rows are numbered anew each time, for those written since are left out: a replay is started again, never resumed.
      yield { id: identity, fingerprint: randomUUID() };
    },

    async *read(split: Split, from: ResumePoint | undefined, context: ReadContext): AsyncGenerator<Chunk> {
      if (from !== undefined)
        throw new SourceError(
          'not-resumable',
          `the ${identity} can't be resumed: start it again, and it goes on by itself`,
        );
      const ledger = ledgerOf(context.ledger);
      const runs = await ledger.runs(context.signal);
      if (path === undefined && !runs.some((record) => record.run === run))
        throw new SourceError('no-such-run', `the ledger has no run ${run}: see sluice runs`);
      const root = rootOf(run, runs);
      const rejects =
        path === undefined ? ledger.rejects(run, context.signal) : filed(path, root, runs, ledger, context.signal);
      const settled = new Places();
      for await (const place of ledger.replayed(root, context.signal)) settled.add(place);
      const seen = new Places();
      const gathering = new Gathering(split.id, root);
      for await (const reject of rejects) {
        if (settled.has(reject)) {
          context.skipped?.(1);
          continue;
        }
        const chunk = gathering.add(reject, !seen.add(reject));
        if (chunk) yield chunk;
      }
      const rest = gathering.end();
      if (rest) yield rest;
    },

    async [Symbol.asyncDispose]() {},
  };
}

/** Those of a file, each of which must be a reject of the run: else a file of another would pass for it. */
async function* filed(
  path: string,
  root: string,
  runs: readonly RunRecord[],
  ledger: Ledger,
  signal: AbortSignal,
): AsyncGenerator<Reject> {
  // Of a run that was pruned the ledger knows no rejects any more; then the lines have to be believed.
  let known: Places | undefined;
  if (runs.some(({ run }) => run === root)) {
    known = new Places();
    for await (const reject of ledger.rejects(root, signal)) known.add(reject);
  }
  for await (const reject of readRejects(path, signal)) {
    const { run, place, split, row } = reject;
    if (run !== undefined && rootOf(run, runs) !== root)
      throw new SourceError(
        'other-run',
        `${place} is a reject of run ${run}, not of ${root}: replay that run with this file`,
      );
    if (known?.has(reject) === false) throw bad(place, `run ${root} has no reject in row ${row + 1} of ${split}`);
    yield reject;
  }
}

type ReplayLedger = Ledger & Required<Pick<Ledger, 'replayed'>>;

function ledgerOf(ledger: Ledger | undefined): ReplayLedger {
  if (ledger !== undefined && notesReplays(ledger)) return ledger;
  throw new ConfigError(
    'no-ledger',
    'a replay needs a ledger in the target, which notes what is written of the rejects: load into a sink that keeps one',
  );
}

function notesReplays(ledger: Ledger): ledger is ReplayLedger {
  return ledger.replayed !== undefined;
}

/** The rejects of a replay are rejects of the run that it replays. */
function rootOf(run: string, runs: readonly RunRecord[]): string {
  const sources = new Map(runs.map((record) => [record.run, record.source]));
  let root = run;
  for (;;) {
    const before = /^replay of (.+)$/.exec(sources.get(root) ?? '')?.[1];
    if (before === undefined) return root;
    root = before;
  }
}

class Places {
  readonly #rows = new Map<string, Set<number>>();

  /** False when it was there. */
  add({ split, row }: Pick<Reject, 'split' | 'row'>): boolean {
    const rows = this.#rows.get(split) ?? new Set();
    this.#rows.set(split, rows);
    const added = !rows.has(row);
    rows.add(row);
    return added;
  }

  has({ split, row }: Pick<Reject, 'split' | 'row'>): boolean {
    return this.#rows.get(split)?.has(row) ?? false;
  }
}
