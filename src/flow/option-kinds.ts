import { ConfigError } from '../errors.js';
import { nearest } from '../nearest.js';
import type { LoadOptions } from './options.js';

/** Every option, with what it takes; nothing where it is judged on its own. */
const known: { readonly [Name in keyof Required<LoadOptions>]: Kind | undefined } = {
  source: { expected: 'a source, such as file({ path })', fits: isSource },
  sink: { expected: 'a sink, such as postgres({ url, table })', fits: isSink },
  columns: {
    expected: 'a function of the record, or an object that gives each column a path or { from, value, default, cast }',
    fits: isColumns,
  },
  workers: undefined,
  maxWorkers: undefined,
  batchRows: undefined,
  batchTime: undefined,
  limit: undefined,
  maxErrors: undefined,
  ignoreExtra: boolean(),
  runDir: text('the path of a folder'),
  resume: { expected: "true, false or a run's name", fits: (value) => isFlag(value) || isText(value) },
  force: boolean(),
  wait: boolean(),
  run: text('a name'),
  predicted: { expected: 'what sluice plan expected', fits: (value) => has(value) },
  verify: undefined,
  ledger: { expected: 'a ledger, such as fileLedger(folder)', fits: (value) => has(value, 'find', 'begin', 'finish') },
  signal: { expected: 'an AbortSignal', fits: isSignal },
  drain: { expected: 'an AbortSignal', fits: isSignal },
  log: {
    expected: 'an object with the functions debug, info and warn',
    fits: (value) => has(value, 'debug', 'info', 'warn'),
  },
  onBegin: callback(),
  remaining: callback(),
  onWait: callback(),
  onProgress: callback(),
};

const specKeys: readonly string[] = ['from', 'value', 'default', 'cast'];

/** What the job file calls an option. */
const otherWords: Readonly<Record<string, keyof LoadOptions>> = { batchSize: 'batchRows' };

interface Kind {
  readonly expected: string;
  fits(value: unknown): boolean;
}

/**
 * Refuses an option that is not known, one that is missing, and one that holds what no option of its name can: callers
 * without types are told as well.
 * @throws ConfigError `bad-option`
 */
export function checkKinds(options: unknown): void {
  if (typeof options !== 'object' || options === null) {
    throw wrong('expected an object of options: { source, sink, ... }');
  }
  const given = new Map<string, unknown>(Object.entries(options));
  for (const name of given.keys()) {
    if (Object.hasOwn(known, name)) continue;
    const meant = Object.hasOwn(otherWords, name) ? otherWords[name] : nearest(name, Object.keys(known));
    throw wrong(`unknown option "${name}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`);
  }
  for (const [name, kind] of Object.entries(known)) {
    const value = given.get(name);
    const needed = name === 'source' || name === 'sink';
    if (kind === undefined || (value === undefined && !needed) || kind.fits(value)) continue;
    throw wrong(
      value === undefined ? `${name} is missing: give ${kind.expected}` : `${name}: expected ${kind.expected}`,
    );
  }
}

function wrong(message: string): ConfigError {
  return new ConfigError('bad-option', message);
}

function boolean(): Kind {
  return { expected: 'true or false', fits: isFlag };
}

function text(expected: string): Kind {
  return { expected, fits: isText };
}

function callback(): Kind {
  return { expected: 'a function', fits: (value) => typeof value === 'function' };
}

function isFlag(value: unknown): boolean {
  return typeof value === 'boolean';
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isSource(value: unknown): boolean {
  return has(value, 'splits', 'read', Symbol.asyncDispose);
}

function isSink(value: unknown): boolean {
  return has(value, 'plan', 'open', 'write', 'classify', Symbol.asyncDispose);
}

function isColumns(value: unknown): boolean {
  if (typeof value === 'function') return true;
  return isObject(value) && Object.values(value).every((spec) => isText(spec) || isSpec(spec));
}

function isSpec(value: unknown): boolean {
  return isObject(value) && Object.keys(value).every((name) => specKeys.includes(name));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** By its parts: a signal may come from another realm. */
function isSignal(value: unknown): boolean {
  return has(value, 'addEventListener', 'throwIfAborted') && 'aborted' in value;
}

function has(value: unknown, ...methods: readonly PropertyKey[]): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return methods.every((method) => typeof Reflect.get(value, method) === 'function');
}
