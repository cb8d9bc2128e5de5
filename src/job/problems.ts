import type * as z from 'zod';
import { nearest } from '../nearest.js';
import { type Path, shapeAt } from './shape.js';

/** Something wrong in a job. */
export interface JobProblem {
  readonly path: Path;
  /** Whether the key itself or what it holds is at fault. */
  readonly about: 'key' | 'value';
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

/** Whether a value may be shown in a message. */
type MayShow = (path: Path) => boolean;

/**
 * Checks a value and says all that is wrong with it, in the words of the schema: what is unknown (and the nearest that
 * is known), what is missing, what was expected. Values are quoted only where a schema lists the allowed ones and
 * `mayShow` agrees. Paths are given below `base`.
 */
export function problemsOf(schema: z.ZodType, value: unknown, base: Path, mayShow: MayShow): JobProblem[] {
  const result = schema.safeParse(value);
  if (result.success) return [];
  return result.error.issues
    .flatMap((issue) => flatten(issue, []))
    .flatMap(([issue, path]) => describe(schema, value, issue, path, (at) => mayShow([...base, ...at])))
    .map((problem) => ({ ...problem, path: [...base, ...problem.path] }));
}

/** Paths below `value` where it holds a text and the schema wants a number, or true or false. */
export function textsThatShouldBe(schema: z.ZodType, value: unknown): [Path, 'number' | 'boolean'][] {
  const result = schema.safeParse(value);
  if (result.success) return [];
  return result.error.issues
    .flatMap((issue) => flatten(issue, []))
    .flatMap(([issue, path]): [Path, 'number' | 'boolean'][] => {
      if (issue.code !== 'invalid_type' || typeof valueAt(value, path) !== 'string') return [];
      if (issue.expected === 'boolean') return [[path, 'boolean']];
      return issue.expected === 'number' || issue.expected === 'int' ? [[path, 'number']] : [];
    });
}

/** An issue of a union becomes those of the alternative that fits best; the union's own when none fits at all. */
function flatten(issue: Issue, base: Path): [Issue, Path][] {
  const path = [...base, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))];
  if (issue.code !== 'invalid_union') return [[issue, path]];
  const fitting = issue.errors
    .filter((errors) => !errors.some((error) => error.code === 'invalid_type' && error.path.length === 0))
    .sort((a, b) => a.length - b.length)[0];
  return fitting ? fitting.flatMap((error) => flatten(error, path)) : [[issue, path]];
}

function describe(schema: z.ZodType, root: unknown, issue: Issue, path: Path, mayShow: MayShow): JobProblem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = shapeAt(schema, path, valueAt(root, path)).keys;
    const elsewhere = shapeAt(schema, path).keys;
    return issue.keys.map((key) => {
      const message = elsewhere.includes(key)
        ? `"${key}" has no meaning here; known here: ${known.join(', ')}`
        : unknownKey(key, known);
      return { path: [...path, key], about: 'key', message };
    });
  }
  const value = valueAt(root, path);
  if (value === undefined) {
    // Where one word of several is missing, each describes but itself.
    const choice = issue.code === 'invalid_union' && 'options' in issue;
    const described = choice ? undefined : shapeAt(schema, path).description;
    const hint = described ?? wordsOf(expectations(issue));
    return [{ path, about: 'value', message: `is missing${hint === '' ? '' : ` (${hint})`}` }];
  }
  return [{ path, about: 'value', message: wrongValue(issue, value, mayShow(path)) }];
}

/** What to say of a key that is not known. */
export function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  if (near !== undefined) return `unknown key "${key}"; did you mean "${near}"?`;
  return `unknown key "${key}"${known.length > 0 ? `; known here: ${known.join(', ')}` : ''}`;
}

function wrongValue(issue: Issue, value: unknown, show: boolean): string {
  const expected = expectations(issue);
  if (expected.length > 0) {
    const found = show && typeof value === 'string' && issue.code !== 'invalid_type' ? `"${value}"` : kind(value);
    const near = show && typeof value === 'string' ? nearest(value, expected) : undefined;
    return `expected ${wordsOf(expected)}, found ${found}${near === undefined ? '' : `; did you mean "${near}"?`}`;
  }
  if (issue.code === 'too_small' && issue.origin === 'string' && issue.minimum === 1) return 'must not be empty';
  if (issue.code === 'too_small') return `must be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
  if (issue.code === 'too_big') return `must be ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`;
  return issue.message;
}

function expectations(issue: Issue): readonly string[] {
  if (issue.code === 'invalid_type') return [typeWords[issue.expected] ?? issue.expected];
  if (issue.code === 'invalid_value') return issue.values.map(String);
  if (issue.code !== 'invalid_union') return [];
  if ('options' in issue && Array.isArray(issue.options)) return issue.options.map(String);
  return [...new Set(issue.errors.flatMap((errors) => errors.flatMap(expectations)))];
}

function wordsOf(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
};

function kind(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a number with a fraction';
  if (typeof value === 'object') return 'a mapping';
  return typeWords[typeof value] ?? typeof value;
}

/** What stands at a path; undefined where there is nothing. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[step];
  }
  return value;
}
