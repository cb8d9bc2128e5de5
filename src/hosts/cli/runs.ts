import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Checkpoint, Ledger, RunRecord } from '../../contract/index.js';
import { ConfigError, SinkError } from '../../errors.js';
import { valueAt } from '../../job/problems.js';
import { fileLedger } from '../../ledger/file-ledger.js';
import { ledgers, sinks } from '../../registry.js';
import { exitCodes } from './exit-code.js';
import { openRejects } from './open-rejects.js';
import { jobOfRejects } from './replay.js';
import { defaultLedger } from './run-job.js';
import { describeRun, listed, tableOfRuns } from './runs-table.js';
import { readSavedJob, type SavedJob } from './saved-job.js';
import { watchSignals } from './signals.js';
import type { Terminal } from './terminal.js';

/** How a ledger is looked into, as typed. */
interface RunsSettings {
  readonly json: boolean;
  readonly iam: boolean;
}

/** Where a ledger is. */
interface Place {
  readonly address: string | undefined;
  readonly iam: boolean;
}

/** Rejects that `sluice runs show` prints. */
const rejectsShown = 10;

/** `sluice runs [SINK]`. */
export async function listRuns(
  sink: string | undefined,
  { json, iam }: RunsSettings,
  terminal: Terminal,
): Promise<number> {
  return await withLedger({ address: sink, iam }, terminal, async (ledger, signal) => {
    const runs = await ledger.runs(signal);
    terminal.print(json ? JSON.stringify(runs.map(listed)) : tableOfRuns(runs, new Date()));
  });
}

/** `sluice runs show RUN [SINK]`. */
export async function showRun(
  name: string,
  sink: string | undefined,
  { json, iam }: RunsSettings,
  terminal: Terminal,
): Promise<number> {
  const saved = readSavedJob(name);
  if (saved === undefined && isFolder(name)) {
    throw new ConfigError('no-such-run', `the folder ${name} holds no job.json of a run that was begun with a ledger`);
  }
  const run = saved?.run ?? name;
  const place = saved !== undefined && !sink ? await ledgerOf(saved, join(name, 'job.json')) : { address: sink, iam };
  return await withLedger(place, terminal, async (ledger, signal) => {
    const { record, checkpoint } = await find(ledger, run, signal);
    const { first, replayed } = await openRejects(ledger, record, rejectsShown, signal);
    const shown = { ...listed(record), replayed, splits: splitsOf(checkpoint), columns: checkpoint.columns };
    terminal.print(
      json
        ? JSON.stringify({ ...shown, rejects: first.map((reject) => ({ ...reject, row: reject.row + 1 })) })
        : describeRun(record, shown.splits, { first, replayed }, new Date()),
    );
  });
}

/** `sluice runs prune [SINK]`. */
export async function pruneRuns(
  sink: string | undefined,
  keep: string,
  { json, iam }: RunsSettings,
  terminal: Terminal,
): Promise<number> {
  if (!/^\d{1,9}$/.test(keep)) throw new ConfigError('bad-usage', '--keep: expected a whole number, 0 or more');
  return await withLedger({ address: sink, iam }, terminal, async (ledger, signal) => {
    const pruned = await ledger.prune(Number(keep), signal);
    terminal.print(json ? JSON.stringify({ pruned }) : `${pruned} ${pruned === 1 ? 'run' : 'runs'} forgotten`);
  });
}

async function withLedger(
  { address: given, iam }: Place,
  terminal: Terminal,
  work: (ledger: Ledger, signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const address = addressOf(given, process.env);
  terminal.redactor.learn({ address });
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1]?.toLowerCase() ?? '';
  const open = Object.hasOwn(ledgers, scheme) ? ledgers[scheme] : undefined;
  const folder = isFolder(address);
  if (open === undefined && !folder) {
    const known = Object.keys(ledgers).map((name) => `${name}://`);
    throw new ConfigError(
      'bad-usage',
      `SINK: expected an address that begins with ${known.join(' or ')}, or the folder of a ledger such as .sluice/ledger`,
    );
  }
  using interruption = watchSignals((text) => terminal.say(text));
  if (open === undefined) {
    await work(fileLedger(address), AbortSignal.any([interruption.drain, interruption.signal]));
    return exitCodes.complete;
  }
  await using ledger = (await open())(address, { iam });
  await work(ledger, AbortSignal.any([interruption.drain, interruption.signal]));
  return exitCodes.complete;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Where the account of a saved job's runs is kept. */
async function ledgerOf(saved: SavedJob, title: string): Promise<Place> {
  const { sink, ledger = defaultLedger } = await jobOfRejects(saved, { run: saved.run }, title);
  if (!(await sinks[sink.name]!()).keepsLedger) {
    return { address: resolve(saved.directory, ledger || defaultLedger), iam: false };
  }
  const url = valueAt(sink.options, ['url']);
  return {
    address: typeof url === 'string' ? url : `${sink.name}://`,
    iam: valueAt(sink.options, ['iam']) === true,
  };
}

function addressOf(sink: string | undefined, environment: Readonly<Record<string, string | undefined>>): string {
  if (sink !== undefined && sink !== '') return sink;
  if (environment.DATABASE_URL) return environment.DATABASE_URL;
  // The address leaves all out, and the environment fills it in.
  if (['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER'].some((name) => environment[name])) return 'postgres://';
  throw new ConfigError(
    'bad-usage',
    'SINK: give the address of the database, or set DATABASE_URL, or PGHOST and its like',
  );
}

async function find(
  ledger: Ledger,
  run: string,
  signal: AbortSignal,
): Promise<{ record: RunRecord; checkpoint: Checkpoint }> {
  const record = (await ledger.runs(signal)).find((candidate) => candidate.run === run);
  const checkpoint = record && (await ledger.find({ job: record.job, resume: { run } }, signal));
  if (record && checkpoint) return { record, checkpoint };
  throw new SinkError('no-such-run', `the ledger has no run ${run}: sluice runs lists those it has`);
}

/** Rows settled of each split. */
function splitsOf({ spans }: Checkpoint): { split: string; rows: number }[] {
  const rows = new Map<string, number>();
  for (const span of spans) rows.set(span.split, (rows.get(span.split) ?? 0) + span.rows);
  return [...rows].map(([split, count]) => ({ split, rows: count }));
}
