import { type Environment, interpolate, variablesOf } from './interpolate.js';
import type { JobProblem } from './problems.js';
import type { Path } from './shape.js';

/** A job's value with the environment's variables in its texts. */
export interface FilledIn {
  readonly value: unknown;
  readonly problems: readonly JobProblem[];
  /** As in Draft. */
  fromEnvironment(path: Path): boolean;
}

/** Puts environment variables into all texts of a job, and finds numbers that have lost digits. */
export function fillIn(written: unknown, environment: Environment): FilledIn {
  const problems: JobProblem[] = [];
  const changed = new Set<string>();

  function read(value: unknown, path: Path): unknown {
    if (typeof value === 'string') {
      const result = interpolate(value, environment);
      problems.push(...result.problems.map((message): JobProblem => ({ path, about: 'value', message })));
      if (result.changed) changed.add(id(path));
      return result.text;
    }
    if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      problems.push({ path, about: 'value', message: 'is too large to be kept digit for digit; put it in quotes' });
    }
    if (Array.isArray(value)) return value.map((item, index) => read(item, [...path, index]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, read(item, [...path, key])]));
  }

  return { value: read(written, []), problems, fromEnvironment: (path) => changed.has(id(path)) };
}

/** Names of the variables in all texts of a job. */
export function variablesIn(written: unknown): string[] {
  if (typeof written === 'string') return variablesOf(written);
  if (typeof written !== 'object' || written === null) return [];
  return Object.values(written).flatMap(variablesIn);
}

function id(path: Path): string {
  return path.join('\0');
}
