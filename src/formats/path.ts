import type { Row } from '../contract/index.js';
import { ConfigError } from '../errors.js';

const step = /^(?:([^.[\]]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\])/;

/** The steps of a path: `loc.coordinates[0]`, `["odd name"].x`; `$` alone or in front stands for the record itself. */
export function parsePath(path: string): readonly (string | number)[] {
  let rest = path.replace(/^\$\.?/, '');
  const steps: (string | number)[] = [];
  while (rest !== '') {
    const match = step.exec(rest);
    if (!match)
      throw new ConfigError('bad-path', `"${path}" is not a path: use names, dots and [0], such as loc.coordinates[0]`);
    if (match[2] !== undefined) steps.push(Number(match[2]));
    else if (match[3] !== undefined) steps.push(match[3].replace(/\\(.)/g, '$1'));
    else steps.push(match[1]!);
    rest = rest.slice(match[0].length);
    if (rest.startsWith('.')) {
      rest = rest.slice(1);
      if (rest === '') throw new ConfigError('bad-path', `"${path}" is not a path: it ends in a dot`);
    }
  }
  return steps;
}

/** The path with these names for steps, as `parsePath` reads it; `$` where there are none. */
export function writePath(names: readonly string[]): string {
  const steps = names.map((name) => (/^[\w-]+$/.test(name) ? `.${name}` : `["${name.replace(/["\\]/g, '\\$&')}"]`));
  return steps.join('').replace(/^\./, '') || '$';
}

/** A reader of the value a path leads to; undefined where the path leaves the record. */
export function compilePath(path: string): (record: unknown) => unknown {
  const steps = parsePath(path);
  if (steps.length === 1) {
    const name = steps[0]!;
    return (record) => own(record, name);
  }
  return (record) => {
    let value = record;
    for (const name of steps) value = own(value, name);
    return value;
  };
}

function own(value: unknown, name: string | number): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, name) ? (value as Row)[name] : undefined;
}
