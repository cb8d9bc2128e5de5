import { ConfigError } from '../errors.js';
import type { ColumnSpec } from '../flow/mapping.js';
import { parsePath } from '../formats/path.js';

/**
 * Reads `--columns`, column by column: `NAME`, `NAME=PATH`, either with `::text` or `::json` (a cast) and `??VALUE` (a default)
 * behind it, or `NAME:=VALUE` (a constant). A VALUE is JSON, or else text. What stands within `["..."]` belongs to the path.
 * @throws ConfigError that quotes the part at fault.
 */
export function parseColumns(text: string): Readonly<Record<string, ColumnSpec>> {
  const columns = new Map<string, ColumnSpec>();
  for (const part of split(text)) {
    const [name, spec] = parseColumn(part);
    if (columns.has(name)) throw wrong(`column "${name}" is given twice`);
    columns.set(name, spec);
  }
  return Object.fromEntries(columns);
}

/** Name, what stands between it and the rest, and the rest. */
const column = /^(?<name>(?:(?!::|:=|\?\?)[^=])*)(?<sign>:=|=)?(?<rest>.*)$/s;
const source = /^(?<path>(?:\["(?:[^"\\]|\\.)*"\]|(?!::|\?\?).)*)(?:::(?<cast>[^?]*))?(?:\?\?(?<value>.*))?$/s;

function parseColumn(part: string): [string, ColumnSpec] {
  const { name: given = '', sign, rest = '' } = column.exec(part)?.groups ?? {};
  const name = given.trim();
  if (sign === ':=') {
    if (name === '') throw noColumn(part);
    return [name, { value: parseValue(rest, part) }];
  }
  const {
    path: read = '',
    cast: castTo,
    value,
  } = source.exec(sign === undefined ? `${given}${rest}` : rest)?.groups ?? {};
  const path = read.trim();
  if (name === '' || path === '') throw noColumn(part);
  if (sign === undefined && /[.[\]]/.test(path)) {
    throw wrong(`"${part}" is a path without a column to go to: write NAME=${path}`);
  }
  parsePath(path);
  if (castTo === undefined && value === undefined) return [name, path];
  const cast = castTo?.trim();
  if (cast !== undefined && cast !== 'text' && cast !== 'json') {
    throw wrong(`"${part}" casts to "${cast}": write ::text or ::json`);
  }
  return [
    name,
    {
      from: path,
      ...(cast !== undefined && { cast }),
      ...(value !== undefined && { default: parseValue(value, part) }),
    },
  ];
}

/** JSON where it is; a number whose digits JSON would not keep stays text, as does any other word. */
function parseValue(text: string, part: string): unknown {
  const written = text.trim();
  if (written === '') throw wrong(`"${part}" has no value: write "" for the empty text`);
  let value: unknown;
  try {
    value = JSON.parse(written);
  } catch {
    if (/^["[{]/.test(written)) {
      throw wrong(`"${part}" has a value that is no whole JSON: lists and objects with commas need a job file`);
    }
    return written;
  }
  return typeof value === 'number' && String(value) !== written ? written : value;
}

function noColumn(part: string): ConfigError {
  return wrong(
    `"${part}" is not a column: write NAME, NAME=PATH or NAME:=CONSTANT, with commas between; behind NAME or PATH may stand ::text or ::json, and ??DEFAULT`,
  );
}

function wrong(message: string): ConfigError {
  return new ConfigError('bad-columns', message);
}

function split(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (const [piece] of text.matchAll(/\["(?:[^"\\]|\\.)*"\]|(?::=|\?\?)\s*"(?:[^"\\]|\\.)*"|[^,]|,/gs)) {
    if (piece === ',') {
      parts.push(part);
      part = '';
    } else {
      part += piece;
    }
  }
  parts.push(part);
  return parts;
}
