import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { ConfigError } from '../errors.js';
import { checkJob } from './check.js';
import { fillIn } from './fill-in.js';
import type { Environment } from './interpolate.js';
import type { Job } from './job.js';
import type { JobProblem } from './problems.js';
import type { Path } from './shape.js';

/** A job file that was parsed, and not yet checked. */
export interface JobFile {
  /** What it says, its variables as they are written. */
  readonly value: unknown;
  /** @throws ConfigError `bad-job` that lists everything that is wrong, each with line and column. */
  check(environment: Environment): Promise<Job>;
}

/**
 * Reads a job file (YAML 1.2, so JSON too). Environment variables are put into its texts after it was parsed: what a
 * variable holds can't become YAML. `name` is how the file is called in messages.
 * @throws ConfigError `bad-job` that lists everything that is wrong, each with line and column.
 */
export async function readJob(text: string, name: string, environment: Environment): Promise<Job> {
  return await parseJobFile(text, name).check(environment);
}

/** @throws ConfigError `bad-job` when the text is not YAML, with line and column. */
export function parseJobFile(text: string, name: string): JobFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.
    const advice = '\n  Within { } and [ ] a variable needs quotes: "${NAME}".';
    const hint = faults.some(({ pos }) => bareVariable(text, pos[0])) ? advice : '';
    const first = faults.filter(
      ({ pos }, i) => faults.findIndex((other) => line(lines, other.pos[0]) === line(lines, pos[0])) === i,
    );
    throw new ConfigError('bad-job', first.map((fault) => `${at(fault.pos[0])}: ${fault.message}`).join('\n') + hint);
  }

  const root = document.contents;
  const resolve = (node: unknown): unknown => (isAlias(node) ? node.resolve(document) : node);

  /** The nearest node on the way to a path, and how far it led. */
  function offsetOf({ path, about }: JobProblem): number {
    let node = resolve(root);
    let offset = start(root);
    for (const [depth, step] of path.entries()) {
      const last = depth === path.length - 1;
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
        if (!pair) return offset;
        offset = start(last && about === 'value' && hasRange(pair.value) ? pair.value : pair.key);
        node = resolve(pair.value);
      } else if (isSeq(node) && typeof step === 'number') {
        const item = node.items[step];
        if (item === undefined) return offset;
        offset = start(item);
        node = resolve(item);
      } else {
        return offset;
      }
    }
    return offset;
  }

  const value = plain(() => document.toJS(), name);
  return {
    value,
    check: (environment) =>
      checkJob({
        ...fillIn(value, environment),
        title: name,
        locate(problem) {
          const order = offsetOf(problem);
          return { order, place: [at(order), written(problem.path)].filter(Boolean).join(' ') };
        },
      }),
  };
}

/**
 * Checks a job whose file's text is not at hand, from the value it had: places are told without lines.
 * @throws ConfigError `bad-job`.
 */
export async function checkJobValue(value: unknown, title: string, environment: Environment): Promise<Job> {
  const locate = ({ path }: JobProblem) => ({ order: 0, place: `${title} ${written(path)}` });
  return await checkJob({ ...fillIn(value, environment), title, locate });
}

/** Only here does `yaml` notice an alias to nothing, or aliases of aliases that stand for more than a memory holds. */
function plain(expand: () => unknown, name: string): unknown {
  try {
    return expand();
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) throw cause;
    throw new ConfigError('bad-job', `${name}: ${cause.message}`, { cause });
  }
}

/** A path as people write it: `sink.postgres.key[0]`. */
function written(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

function line(lines: LineCounter, offset: number): number {
  return lines.linePos(offset).line;
}

function start(node: unknown): number {
  return hasRange(node) ? node.range[0] : 0;
}

function hasRange(node: unknown): node is Node & { range: [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range);
}

/** Whether the line at an offset holds a variable without quotes around it. */
function bareVariable(text: string, offset: number): boolean {
  const from = text.lastIndexOf('\n', offset - 1) + 1;
  const end = text.indexOf('\n', offset);
  return /(?<!["'\w])\$\{/.test(text.slice(from, end < 0 ? undefined : end));
}
