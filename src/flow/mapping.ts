import type { Cell, CsvLayout, Refusal, Row } from '../contract/index.js';
import { ConfigError, messageOf } from '../errors.js';
import { isLosslessNumber, JsonText, stringifyJson } from '../formats/json.js';
import { compilePath, parsePath } from '../formats/path.js';

/** What one column is filled with. A string is short for `{ from: string }`. */
export type ColumnSpec =
  | string
  | {
      /** Path in the record, such as `loc.coordinates[0]`; for CSV, a field name, or `["name"]`. Default: the column's own name. */
      readonly from?: string;
      /** The same value for every record; instead of `from`. */
      readonly value?: unknown;
      /** Taken when the record has no such field, or null there. */
      readonly default?: unknown;
      /** Sent as text, or as JSON text, whatever it was. Null stays null. */
      readonly cast?: 'text' | 'json';
    };

/** Target column -> what it is filled with; or a function that makes the row to write out of a record. */
export type Columns = Readonly<Record<string, ColumnSpec>> | ((record: Row) => Row);

/** What a mapping needs to know of a file. */
export type Fields = Pick<CsvLayout, 'fields'>;

/** Fills cells from parsed CSV fields of one layout. */
export interface CsvMapper {
  readonly columns: readonly string[];
  /** Field i is column i, unchanged: the bytes may be passed on without being parsed. */
  readonly direct: boolean;
  /** Field of each column, -1 where the file has none; undefined when something is done to a field on its way. */
  readonly fields?: readonly number[];
  cells(fields: readonly (string | null)[], into: Cell[]): Refusal | undefined;
}

/** Makes the cells of the planned columns out of records. */
export interface Mapper {
  /** Of records; a layout may have its own. */
  readonly columns: readonly string[];
  /** Cells made of CSV fields are the database's own text form. A function returns JavaScript values. */
  readonly keepsText: boolean;
  ofRecord(record: Row, into: Cell[]): Refusal | undefined;
  /** @throws ConfigError when the layout lacks a field the mapping names, or has one that nothing would take. */
  ofLayout(layout: Fields): CsvMapper;
}

/** Every target column a mapping yields for these rows; without a mapping, every field seen, in order of appearance. */
export function columnNames(columns: Columns | undefined, layouts: readonly Fields[], rows: readonly Row[]): string[] {
  if (columns !== undefined && typeof columns !== 'function') return inFileOrder(columns, layouts[0]);
  const names = new Set<string>();
  if (columns === undefined) for (const layout of layouts) for (const field of layout.fields) names.add(field);
  for (const row of rows) for (const name of Object.keys(row)) names.add(name);
  return [...names];
}

/** A mapping that takes every field of the file once is put in the file's order, so that its bytes can be passed on. */
function inFileOrder(columns: Readonly<Record<string, ColumnSpec>>, layout: Fields | undefined): string[] {
  const names = Object.keys(columns);
  if (layout === undefined) return names;
  const byField = new Map(names.map((name) => [plainField(name, columns[name]!), name]));
  const ordered = layout.fields.map((field) => byField.get(field));
  const all = ordered.length === names.length && ordered.every((name) => name !== undefined);
  return all ? (ordered as string[]) : names;
}

/** The field a column takes unchanged; undefined when something is done to it. */
function plainField(column: string, spec: ColumnSpec): string | undefined {
  if (typeof spec === 'string') return spec;
  if ('value' in spec || 'default' in spec || spec.cast !== undefined) return undefined;
  return spec.from ?? column;
}

/**
 * Compiles what fills `accepted`, those of the mapping's columns that the target takes; where names match names, a field
 * seen later may fill one of `others`.
 */
export function compileMapper(
  columns: Columns | undefined,
  accepted: readonly string[],
  ignoreExtra: boolean,
  others: readonly string[] = [],
): Mapper {
  if (columns === undefined) return byName(accepted, others, ignoreExtra);
  if (typeof columns === 'function') return byFunction(columns, accepted, others, ignoreExtra);
  return bySpecs(columns, accepted);
}

function byName(accepted: readonly string[], others: readonly string[], ignoreExtra: boolean): Mapper {
  const all = [...accepted, ...others];
  const known = new Set(all);
  return {
    columns: all,
    keepsText: true,
    ofRecord: pickByName(accepted, others, ignoreExtra),
    ofLayout(layout) {
      const extra = layout.fields.filter((field) => !known.has(field));
      if (extra.length > 0 && !ignoreExtra) {
        throw new ConfigError(
          'unknown-field',
          `a file has fields that were not planned for: ${extra.join(', ')}. Map them with columns, or ignore extra fields`,
        );
      }
      // In the file's order, so that its bytes can be passed on.
      const taken = layout.fields.filter((field) => known.has(field));
      const columns = [...taken, ...accepted.filter((name) => !layout.fields.includes(name))];
      return fromIndexes(
        columns,
        columns.map((name) => layout.fields.indexOf(name)),
        layout,
      );
    },
  };
}

function byFunction(
  map: (record: Row) => Row,
  accepted: readonly string[],
  others: readonly string[],
  ignoreExtra: boolean,
): Mapper {
  const columns = [...accepted, ...others];
  const pick = pickByName(accepted, others, ignoreExtra);
  const ofRecord = (record: Row, into: Cell[]): Refusal | undefined => {
    let row: Row;
    try {
      row = mapRow(map, record);
    } catch (error) {
      return { code: 'mapping-failed', reason: messageOf(error) };
    }
    return pick(row, into);
  };
  return {
    columns,
    keepsText: false,
    ofRecord,
    ofLayout: (layout) => ({ columns, direct: false, cells: (fields, into) => ofRecord(csvRow(layout, fields), into) }),
  };
}

function bySpecs(columns: Readonly<Record<string, ColumnSpec>>, accepted: readonly string[]): Mapper {
  const specs = accepted.map((name) => normal(name, columns[name]!));
  const readers = specs.map((spec) => recordReader(spec));
  return {
    columns: accepted,
    keepsText: true,
    ofRecord(record, into) {
      for (let i = 0; i < readers.length; i++) into[i] = readers[i]!(record);
      return undefined;
    },
    ofLayout(layout) {
      const indexes = specs.map((spec) => {
        if ('value' in spec) return -1;
        const index = fieldIndex(layout, spec.from);
        if (index === -1 && !('default' in spec)) {
          throw new ConfigError(
            'unknown-field',
            `column "${spec.column}" is to be filled from "${spec.from}", but the file's fields are ${layout.fields.join(', ')}. Name one of these as column=field (--columns), or give the column a default in a job file`,
          );
        }
        return index;
      });
      const plain = accepted.every((name) => plainField(name, columns[name]!) !== undefined);
      if (plain) return fromIndexes(accepted, indexes, layout);
      const finish = specs.map(textFinisher);
      return {
        columns: accepted,
        direct: false,
        cells(fields, into) {
          for (let i = 0; i < indexes.length; i++) into[i] = finish[i]!(fields[indexes[i]!]);
          return undefined;
        },
      };
    },
  };
}

/** A field by its plain name, whatever that holds; or by a path of one step, as records have it: `["name"]`. */
function fieldIndex({ fields }: Fields, from: string): number {
  const index = fields.indexOf(from);
  if (index >= 0) return index;
  const [name, ...further] = parsePath(from);
  return typeof name === 'string' && further.length === 0 ? fields.indexOf(name) : -1;
}

/** What the function makes of the record. @throws what the function throws; an error when it makes no object. */
export function mapRow(map: (record: Row) => Row, record: Row): Row {
  const row: unknown = map(record);
  if (isObject(row)) return row;
  const made = Array.isArray(row) ? 'an array' : row === null ? 'null' : typeof row;
  throw new TypeError(`the mapping function must return an object of columns, and gave ${made}`);
}

function isObject(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type NormalSpec = {
  readonly column: string;
  readonly from: string;
  readonly default?: unknown;
  readonly value?: unknown;
  readonly cast?: 'text' | 'json';
};

function normal(column: string, spec: ColumnSpec): NormalSpec {
  return typeof spec === 'string' ? { column, from: spec } : { ...spec, column, from: spec.from ?? column };
}

function recordReader(spec: NormalSpec): (record: Row) => Cell {
  if ('value' in spec) return () => spec.value;
  const read = compilePath(spec.from);
  if (!('default' in spec) && spec.cast === undefined) return read;
  return (record) => {
    const value = orDefault(read(record), spec);
    if (spec.cast === undefined) return value;
    const text = asText(value, spec.cast);
    return spec.cast === 'json' && typeof text === 'string' ? new JsonText(text) : text;
  };
}

/** A constant or a default stays the value it is, as it does for records: the sink knows the form its column wants. */
function textFinisher(spec: NormalSpec): (field: string | null | undefined) => Cell {
  const { cast } = spec;
  if ('value' in spec) return () => spec.value;
  if (cast === undefined) return (field) => orDefault(field, spec);
  return (field) => asText(orDefault(field, spec), cast);
}

function orDefault(value: unknown, spec: NormalSpec): unknown {
  return (value === undefined || value === null) && 'default' in spec ? spec.default : value;
}

function asText(value: unknown, cast: 'text' | 'json'): Cell {
  if (value === null || value === undefined) return value;
  if (value instanceof Date && cast === 'text') return value.toISOString();
  if (cast === 'json' || (typeof value === 'object' && !isLosslessNumber(value))) return stringifyJson(value);
  return String(value);
}

/** Names match names; a field that no column takes is a refusal, for nothing is dropped silently. */
function pickByName(accepted: readonly string[], others: readonly string[], ignoreExtra: boolean): Mapper['ofRecord'] {
  const known = new Set([...accepted, ...others]);
  return (record, into) => {
    let found = take(record, accepted, into, 0);
    if (ignoreExtra && others.length === 0) return undefined;
    let fields = 0;
    for (const _ in record) fields += 1;
    if (fields === found) {
      into.fill(undefined, accepted.length);
      return undefined;
    }
    found += take(record, others, into, accepted.length);
    if (ignoreExtra || fields === found) return undefined;
    const extra = Object.keys(record).find((name) => !known.has(name));
    return extra === undefined
      ? undefined
      : { code: 'unknown-field', reason: `the record has a field "${extra}" that no column takes`, column: extra };
  };
}

/** Puts the record's fields of these names into `into`, from `at` on; returns how many there are. */
function take(record: Row, names: readonly string[], into: Cell[], at: number): number {
  let found = 0;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    let value = record[name];
    // What an object inherits (toString, __proto__) is not a field.
    if ((typeof value === 'function' || name === '__proto__') && !Object.hasOwn(record, name)) value = undefined;
    if (value !== undefined) found += 1;
    into[at + i] = value;
  }
  return found;
}

function fromIndexes(columns: readonly string[], indexes: readonly number[], layout: Fields): CsvMapper {
  return {
    columns,
    direct: indexes.length === layout.fields.length && indexes.every((index, i) => index === i),
    fields: indexes,
    cells(fields, into) {
      for (let i = 0; i < indexes.length; i++) into[i] = fields[indexes[i]!];
      return undefined;
    },
  };
}

/** A CSV record as an object of its fields. */
export function csvRow(layout: Fields, fields: readonly (string | null)[]): Row {
  return Object.fromEntries(layout.fields.map((name, i) => [name, fields[i]]));
}

/**
 * What identifies a record to the target, as one string; undefined when a part is missing or null, or when the mapping
 * fails on the record.
 */
export function compileKey(columns: Columns | undefined, key: readonly string[]): (record: Row) => string | undefined {
  const mapped = typeof columns === 'function' ? columns : undefined;
  const specs = typeof columns === 'function' ? undefined : columns;
  const readers = key.map((name) => recordReader(normal(name, specs?.[name] ?? { from: JSON.stringify([name]) })));
  return (record) => {
    let row = record;
    if (mapped !== undefined) {
      try {
        row = mapRow(mapped, record);
      } catch {
        return undefined;
      }
    }
    let whole = '';
    for (const read of readers) {
      const part = read(row);
      if (part === undefined || part === null) return undefined;
      whole += `${typeof part === 'object' ? stringifyJson(part) : String(part)}\u0000`;
    }
    return whole;
  };
}

/** What a column is read from, for people. */
export function describeColumn(column: string, columns: Columns | undefined): string {
  if (columns === undefined) return column;
  if (typeof columns === 'function') return 'a function';
  const spec: ColumnSpec = columns[column] ?? column;
  if (typeof spec === 'string') return spec;
  return 'value' in spec ? `the constant ${JSON.stringify(spec.value)}` : (spec.from ?? column);
}
