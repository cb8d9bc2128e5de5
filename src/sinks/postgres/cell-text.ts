import type { Cell, Refusal } from '../../contract/index.js';
import { isLosslessNumber, JsonText, stringifyJson } from '../../formats/json.js';
import { dateText } from './date-text.js';
import type { TargetColumn } from './target.js';

/**
 * The text of a decoded cell as the database's own parser of the column's type reads it, or why there is none.
 * The cell is neither null nor undefined.
 */
export type CellText = (cell: Cell) => string | Refusal;

/** The reader of cells for one column, chosen by its type. */
export function cellTextFor(column: TargetColumn): CellText {
  const { baseType } = column;
  if (baseType === 'json' || baseType === 'jsonb') return (cell) => jsonText(cell, column);
  if (column.category === 'A') {
    const element = elementOf(column);
    const text = cellTextFor(element);
    return (cell) => (Array.isArray(cell) ? arrayText(cell, element, text) : loneText(cell, column));
  }
  if (integers.has(baseType)) {
    return (cell) => {
      const text = scalarText(cell, column);
      return isLosslessNumber(cell) && typeof text === 'string' ? integerText(text) : text;
    };
  }
  return (cell) => scalarText(cell, column);
}

const integers = new Set(['int2', 'int4', 'int8']);

/** A JSON number whose value is an integer, such as 1.0 or 1e3, by its digits alone; any other as it is. */
function integerText(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (match === null) return text;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  if (/[1-9]/.test(digits.slice(Math.max(point, 0)))) return text;
  return `${sign}${digits.slice(0, Math.max(point, 0)).padEnd(point, '0') || '0'}`;
}

function elementOf(column: TargetColumn): TargetColumn {
  return { ...column, baseType: column.baseType.replace(/^_/, ''), category: '' };
}

/** What is no array may still be an array's text. */
function loneText(cell: Cell, column: TargetColumn): string | Refusal {
  const text = scalarText(cell, column);
  if (typeof text === 'string' || text.code !== 'nested-value') return text;
  return {
    ...text,
    reason: `an object can't be written to column "${column.name}" of type ${column.type}: give an array, or pick one in it by a path`,
  };
}

function scalarText(cell: Cell, column: TargetColumn): string | Refusal {
  switch (typeof cell) {
    case 'string':
      return cell;
    case 'number':
      return Object.is(cell, -0) ? '-0' : String(cell);
    case 'bigint':
      return String(cell);
    case 'boolean':
      return column.baseType === 'bool' ? (cell ? 't' : 'f') : String(cell);
    case 'object':
      return objectText(cell, column);
    default:
      return unsupported(typeof cell, column);
  }
}

function objectText(cell: object | null, column: TargetColumn): string | Refusal {
  if (isLosslessNumber(cell)) return cell.toString();
  if (cell instanceof JsonText) return cell.text;
  if (cell instanceof Date) return momentText(cell, column);
  if (cell instanceof Uint8Array) {
    if (column.baseType === 'bytea') return bytesText(cell);
    return {
      code: 'bytes-for-text',
      reason: `bytes can't be written to column "${column.name}" of type ${column.type}: decode them to a string first`,
      column: column.name,
    };
  }
  const what = Array.isArray(cell) ? 'an array' : 'an object';
  return {
    code: 'nested-value',
    reason: `${what} can't be written to column "${column.name}" of type ${column.type}: cast it to json, or pick a value in it by a path`,
    column: column.name,
  };
}

function bytesText(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
}

function momentText(date: Date, column: TargetColumn): string | Refusal {
  const time = date.getTime();
  if (!Number.isNaN(time)) return dateText(time);
  return { code: 'invalid-date', reason: `the Date for column "${column.name}" is invalid`, column: column.name };
}

function jsonText(cell: Cell, column: TargetColumn): string | Refusal {
  // JSON has no NaN: the database says so, where stringify would make it null.
  if (typeof cell === 'number') return String(cell);
  if (typeof cell === 'string') return JSON.stringify(cell);
  if (cell instanceof JsonText) return cell.text;
  if (cell instanceof Date && Number.isNaN(cell.getTime())) return momentText(cell, column);
  if (cell instanceof Uint8Array) return objectText(cell, column);
  try {
    const opaque = findOpaque(cell);
    if (opaque !== undefined) return unsupported(opaque, column);
    return stringifyJson(cell) ?? unsupported(typeof cell, column);
  } catch (error) {
    return {
      code: 'not-json',
      reason: `the value for column "${column.name}" has no JSON form: ${error instanceof Error ? error.message : error}`,
      column: column.name,
    };
  }
}

/**
 * The class of a value, or of one within it, that JSON would empty without a word: a Map, a Set, an Error, any instance
 * that shows nothing of itself; or make an object of indices: a typed array. What has a toJSON speaks for itself.
 */
function findOpaque(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return firstOpaque(value);
  if (isLosslessNumber(value) || ('toJSON' in value && typeof value.toJSON === 'function')) return undefined;
  const fields = Object.values(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
  if (!plain && (fields.length === 0 || ArrayBuffer.isView(value))) return value.constructor.name;
  return firstOpaque(fields);
}

function firstOpaque(values: readonly unknown[]): string | undefined {
  for (const value of values) {
    const opaque = findOpaque(value);
    if (opaque !== undefined) return opaque;
  }
  return undefined;
}

/** An array literal. Arrays within are further dimensions, except in arrays of json, where they are JSON. */
function arrayText(cells: readonly Cell[], element: TargetColumn, text: CellText): string | Refusal {
  const json = element.baseType === 'json' || element.baseType === 'jsonb';
  const separator = element.baseType === 'box' ? ';' : ',';
  let literal = '{';
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i];
    if (i > 0) literal += separator;
    if (cell === null || cell === undefined) {
      literal += 'NULL';
    } else if (Array.isArray(cell) && !json) {
      const inner = arrayText(cell, element, text);
      if (typeof inner !== 'string') return inner;
      literal += inner;
    } else if (typeof cell === 'number') {
      literal += String(cell);
    } else {
      const item = text(cell);
      if (typeof item !== 'string') return item;
      literal += quoteElement(item);
    }
  }
  return `${literal}}`;
}

function quoteElement(text: string): string {
  return `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`;
}

function unsupported(kind: string, column: TargetColumn): Refusal {
  return {
    code: 'unsupported-value',
    reason: `a ${kind} can't be written to column "${column.name}"`,
    column: column.name,
  };
}

const anyArray: TargetColumn = {
  name: 'parameter',
  type: 'text[]',
  baseType: '_text',
  category: 'A',
  typmod: -1,
  domain: false,
  notNull: false,
  hasDefault: false,
  identity: undefined,
  toldBy: 'image',
};
const json: TargetColumn = { ...anyArray, baseType: 'json', category: 'U' };
const bytes: TargetColumn = { ...anyArray, baseType: 'bytea', category: 'U' };

/**
 * A parameter as the protocol carries it: arrays become array literals, plain objects JSON.
 * @throws TypeError when it has no such form.
 */
export function wireValue(value: unknown): string | Buffer | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  const text = wireText(value);
  if (typeof text !== 'string') throw new TypeError(text.reason);
  return text;
}

function wireText(value: unknown): string | Refusal {
  if (Array.isArray(value)) return arrayText(value, { ...anyArray, baseType: 'text' }, wireText);
  if (value instanceof Uint8Array) return objectText(value, bytes);
  if (value instanceof Date || typeof value !== 'object') return scalarText(value, anyArray);
  return jsonText(value, json);
}
