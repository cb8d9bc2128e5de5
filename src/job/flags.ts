import { ConfigError } from '../errors.js';
import { type VerifyLevel, verifyLevels } from '../flow/verify.js';
import { checkJob } from './check.js';
import { parseColumns } from './columns.js';
import type { Job } from './job.js';
import { parseMaxErrors } from './max-errors.js';
import type { JobProblem } from './problems.js';
import type { Path } from './shape.js';
import { put, type Tree } from './tree.js';

/** What flags say in place of a job file's top level; as typed. */
export interface RunFlags {
  readonly workers?: string;
  readonly maxWorkers?: string;
  readonly batchSize?: string;
  readonly batchTime?: string;
  readonly limit?: string;
  readonly maxErrors?: string;
  readonly verify?: string;
  /** By `--no-ledger`. */
  readonly ledger?: false;
}

/** The flags of `sluice load`; as typed. */
export interface LoadFlags extends RunFlags {
  readonly columns?: string;
  readonly ignoreExtra?: boolean;
  readonly iam?: boolean;
  readonly table?: string;
  readonly mode?: string;
  readonly key?: string;
  readonly create?: boolean;
  readonly keyType?: string;
  readonly bins?: string;
  readonly ttl?: string;
  readonly format?: string;
  readonly delimiter?: string;
  readonly quote?: string;
  readonly null?: string;
  /** By `--no-header`. */
  readonly header?: false;
  readonly fields?: string;
  readonly items?: string;
  readonly pagination?: string;
  readonly pageParam?: string;
  readonly pagePath?: string;
  readonly sizeParam?: string;
  readonly pageSize?: string;
  readonly totalHeader?: string;
  readonly totalPath?: string;
  readonly parallel?: string;
  readonly httpHeader?: readonly string[];
}

/** Where in the job a flag's value goes, and how it is read. `read` throws ConfigError. */
interface Destination<Typed> {
  readonly flag: string;
  readonly path: Path;
  readonly read?: (typed: Typed) => unknown;
}

type Destinations<Flags> = { readonly [Name in keyof Flags]-?: Destination<NonNullable<Flags[Name]>> };

type SinkName = 'postgres' | 'aerospike';
type SinkFlag = 'iam' | 'table' | 'mode' | 'key' | 'create' | 'keyType' | 'bins' | 'ttl';

const runFlags: Destinations<Omit<RunFlags, 'ledger'>> = {
  workers: { flag: '--workers', path: ['workers'], read: count },
  maxWorkers: { flag: '--max-workers', path: ['maxWorkers'], read: count },
  batchSize: { flag: '--batch-size', path: ['batchSize'], read: count },
  batchTime: { flag: '--batch-time', path: ['batchTime'], read: seconds },
  limit: { flag: '--limit', path: ['limit'], read: count },
  maxErrors: { flag: '--max-errors', path: ['maxErrors'], read: parseMaxErrors },
  verify: { flag: '--verify', path: ['verify'], read: level },
};

const mappingFlags: Destinations<Pick<LoadFlags, 'columns' | 'ignoreExtra'>> = {
  columns: { flag: '--columns', path: ['columns'], read: parseColumns },
  ignoreExtra: { flag: '--ignore-extra', path: ['ignoreExtra'] },
};

const sourceFlags: Destinations<Omit<LoadFlags, keyof RunFlags | 'columns' | 'ignoreExtra' | SinkFlag>> = {
  format: { flag: '--format', path: ['source', 'file', 'format'] },
  delimiter: { flag: '--delimiter', path: ['source', 'file', 'delimiter'], read: character },
  quote: { flag: '--quote', path: ['source', 'file', 'quote'] },
  null: { flag: '--null', path: ['source', 'file', 'null'] },
  header: { flag: '--no-header', path: ['source', 'file', 'header'] },
  fields: { flag: '--fields', path: ['source', 'file', 'fields'], read: names },
  items: { flag: '--items', path: ['source', 'http', 'items'] },
  pagination: { flag: '--pagination', path: ['source', 'http', 'pagination', 'style'] },
  pageParam: { flag: '--page-param', path: ['source', 'http', 'pagination', 'param'] },
  pagePath: { flag: '--page-path', path: ['source', 'http', 'pagination', 'path'] },
  sizeParam: { flag: '--size-param', path: ['source', 'http', 'pagination', 'size', 'param'] },
  pageSize: { flag: '--page-size', path: ['source', 'http', 'pagination', 'size', 'value'], read: count },
  totalHeader: { flag: '--total-header', path: ['source', 'http', 'pagination', 'total', 'header'] },
  totalPath: { flag: '--total-path', path: ['source', 'http', 'pagination', 'total', 'path'] },
  parallel: { flag: '--parallel', path: ['source', 'http', 'parallel'], read: count },
  httpHeader: { flag: '--header', path: ['source', 'http', 'headers'], read: parseHeaders },
};

type SinkFlags = Partial<Destinations<Pick<LoadFlags, SinkFlag>>>;

const sinkFlags: Readonly<Record<SinkName, SinkFlags>> = {
  postgres: {
    iam: { flag: '--iam', path: ['sink', 'postgres', 'iam'] },
    table: { flag: '--table', path: ['sink', 'postgres', 'table'] },
    mode: { flag: '--mode', path: ['sink', 'postgres', 'mode'] },
    key: { flag: '--key', path: ['sink', 'postgres', 'key'], read: names },
    create: { flag: '--create', path: ['sink', 'postgres', 'create'] },
  },
  aerospike: {
    mode: { flag: '--mode', path: ['sink', 'aerospike', 'mode'] },
    key: { flag: '--key', path: ['sink', 'aerospike', 'key'] },
    keyType: { flag: '--key-type', path: ['sink', 'aerospike', 'keyType'] },
    bins: { flag: '--bins', path: ['sink', 'aerospike', 'bins'], read: parseBins },
    ttl: { flag: '--ttl', path: ['sink', 'aerospike', 'ttl'], read: secondsOrWord },
  },
};

/** Where it is said that no account is to be kept: of a sink that does so itself, among its own options. */
function ledgerFlag(sink: string): Destinations<Pick<RunFlags, 'ledger'>> {
  return { ledger: { flag: '--no-ledger', path: sink === 'postgres' ? ['sink', 'postgres', 'ledger'] : ['ledger'] } };
}

/** A flag's value on its way into the job, or why it can't be. */
interface Setting {
  readonly flag: string;
  readonly path: Path;
  readonly value?: unknown;
  readonly problem?: string;
}

/**
 * Makes the job that `sluice load SOURCE SINK` describes, the same as a job file would.
 * @throws ConfigError `bad-job` that names each flag at fault.
 */
export async function jobFromFlags(source: string, sink: string, flags: LoadFlags): Promise<Job> {
  const web = /^https?:\/\//i.test(source);
  const kind: SinkName = /^aerospike:/i.test(sink) ? 'aerospike' : 'postgres';
  const common = { ...runFlags, ...ledgerFlag(kind), ...mappingFlags };
  const settings: Setting[] = [
    { flag: 'SOURCE', path: web ? ['source', 'http', 'url'] : ['source', 'file', 'path'], value: source },
    sinkSetting(sink, kind),
  ];
  const root: Tree = {};
  const problems: JobProblem[] = [];
  const given = [
    ...settingsOf(common, flags),
    ...settingsOf(sinkFlags[kind], flags),
    ...settingsOf(sourceFlags, flags),
  ];
  for (const setting of [...settings, ...given]) {
    const { path, value } = setting;
    const misplaced = path[1] === (web ? 'file' : 'http');
    const problem = misplaced ? `is for ${web ? 'files' : 'http sources'}, and SOURCE is not one` : setting.problem;
    if (problem !== undefined) problems.push({ path, about: 'value', message: problem });
    if (!misplaced) put(root, path, value);
  }
  if (flags.totalHeader !== undefined && flags.totalPath !== undefined) {
    const { path } = sourceFlags.totalPath;
    problems.push({ path, about: 'value', message: 'says what --total-header says: give one of the two' });
  }
  const other: SinkName = kind === 'postgres' ? 'aerospike' : 'postgres';
  const foreign = Object.entries(sinkFlags[other]).filter(([name]) => !Object.hasOwn(sinkFlags[kind], name));
  for (const { path } of settingsOf(Object.fromEntries(foreign), flags)) {
    problems.push({ path, about: 'value', message: `is for ${other}, and SINK is not one` });
  }
  const places = [
    ...settings,
    ...[common, sinkFlags[kind], Object.fromEntries(foreign), sourceFlags].flatMap((known) => Object.values(known)),
  ];
  return checkJob({
    value: root,
    title: 'the command line',
    problems,
    locate({ path }) {
      // What is wrong may be a part of the job that several flags make.
      const place =
        places.find((place) => within(path, place.path)) ?? given.find((setting) => within(setting.path, path));
      return { order: places.findIndex(({ flag }) => flag === place?.flag), place: place?.flag ?? path.join('.') };
    },
    fromEnvironment: () => false,
  });
}

/** A checked job with what the flags say in place of what it said. @throws ConfigError `bad-job`. */
export function override(job: Job, flags: RunFlags): Job {
  const settings = settingsOf(runFlags, flags);
  const wrong = settings.filter(({ problem }) => problem !== undefined);
  if (wrong.length > 0) {
    throw new ConfigError('bad-job', wrong.map(({ flag, problem }) => `${flag}: ${problem}`).join('\n'));
  }
  const rest = Object.fromEntries(settings.map(({ path, value }) => [path.at(-1), value]));
  const [none] = settingsOf(ledgerFlag(job.sink.name), flags);
  if (none === undefined) return { ...job, ...rest };
  if (none.path.length === 1) return { ...job, ...rest, ledger: false };
  return { ...job, ...rest, sink: { ...job.sink, options: { ...asObject(job.sink.options), ledger: false } } };
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

function settingsOf<Flags extends object>(destinations: Partial<Destinations<Flags>>, flags: Flags): Setting[] {
  const settings: Setting[] = [];
  for (const name in destinations) {
    const typed = flags[name];
    const destination = destinations[name];
    if (destination && typed !== undefined && typed !== null) settings.push(setting(destination, typed));
  }
  return settings;
}

function setting<Typed>({ flag, path, read }: Destination<Typed>, typed: Typed): Setting {
  try {
    return { flag, path, value: read ? read(typed) : typed };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { flag, path, problem: error.message };
  }
}

function sinkSetting(sink: string, kind: SinkName): Setting {
  const path = ['sink', kind, 'url'];
  if (/^(postgres(ql)?|aerospike):\/\//i.test(sink)) return { flag: 'SINK', path, value: sink };
  const problem =
    sink === ''
      ? 'is empty; is the variable it came from set?'
      : 'expected an address such as postgres://user@host:5432/database, of which PGHOST and its like fill in what is left out, or aerospike://host:3000/namespace/set';
  return { flag: 'SINK', path, problem };
}

/** `name,age:integer`: what becomes a bin, and what its values are read as where that is said. */
function parseBins(list: string): string[] | Record<string, string> {
  const all = names(list).map((text): [string, string | undefined] => {
    const colon = text.lastIndexOf(':');
    return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
  });
  if (all.every(([, type]) => type === undefined)) return all.map(([name]) => name);
  return Object.fromEntries(all.map(([name, type = 'auto']) => [name, type]));
}

function secondsOrWord(typed: string): number | string {
  return /^\d{1,15}$/.test(typed) ? Number(typed) : typed;
}

function count(digits: string): number {
  const number = Number(digits);
  if (/^\d+$/.test(digits) && Number.isSafeInteger(number) && number > 0) return number;
  throw new ConfigError('bad-count', 'expected a whole number, 1 or more');
}

/** `0.5`, `2`, `2s` or `500ms`, as seconds. */
function seconds(typed: string): number {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(typed) ?? [];
  const value = Number(digits) / (unit === 'ms' ? 1000 : 1);
  if (value > 0) return value;
  throw new ConfigError('bad-time', 'expected seconds, more than 0, such as 0.5, 2s or 500ms');
}

function level(word: string): VerifyLevel {
  const found = verifyLevels.find((known) => known === word);
  if (found !== undefined) return found;
  throw new ConfigError('bad-verify', `expected ${verifyLevels.join(', ')}`);
}

function names(list: string): string[] {
  return list.split(',').map((name) => name.trim());
}

/** Shells make a tab hard to type. */
function character(typed: string): string {
  return typed === '\\t' ? '\t' : typed;
}

/**
 * Reads `--header`s, each `Name: value`. What follows a colon may be a secret, so a message gives no more than the
 * header's number.
 * @throws ConfigError `bad-header`.
 */
export function parseHeaders(lines: readonly string[]): Readonly<Record<string, string>> {
  const pairs = lines.map((line, index) => {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new ConfigError('bad-header', `expected 'Name: value' (header ${index + 1} of ${lines.length})`);
    }
    return [name, value] as const;
  });
  return Object.fromEntries(pairs);
}

function within(path: Path, prefix: Path): boolean {
  return prefix.every((step, index) => path[index] === step);
}
