import type { Answer } from './flight.js';
import { rowCount } from './flight.js';
import { type MergeCounts, overridingOf, sameRow, settableOf } from './merge.js';
import { quoteIdentifier } from './quote.js';
import type { Statement, Target, TargetColumn } from './target.js';

/** The keys of a staging table. */
export interface StagedKeys {
  readonly distinct: number;
  /** The least and the greatest, where so many lie between them that the table may be read from one to the other. */
  readonly range: readonly [string, string] | undefined;
}

/**
 * Rows of the table that are read in key order, at most, for each staged one. A row read so costs about an eighth of one
 * that is looked up by the index.
 */
const readAtMost = 8n;

const integers = new Set(['int2', 'int4', 'int8']);

/** Asks how many keys a staging table has, and how far they lie apart. Integers are sorted in less time than they are hashed. */
export function askKeys(name: string, target: Target): Statement {
  const keys = target.key.map(quoteIdentifier).join(', ');
  const text = isInteger(target)
    ? `SELECT count(DISTINCT ${keys}), min(${keys}), max(${keys}) FROM ${name}`
    : `SELECT count(*) FROM (SELECT DISTINCT ${keys} FROM ${name}) AS keys`;
  return { text, values: [] };
}

export function stagedKeys(answer: Answer | undefined): StagedKeys {
  const [count, least, greatest] = answer?.rows[0] ?? [];
  const distinct = Number(count);
  if (!least || !greatest) return { distinct, range: undefined };
  const dense = BigInt(greatest) - BigInt(least) < BigInt(distinct) * readAtMost;
  return { distinct, range: dense ? [least, greatest] : undefined };
}

/**
 * Moves the staged rows into the target by MERGE: it finds a row once, where INSERT ... ON CONFLICT after a join finds it
 * twice, and takes two thirds of its time when all rows change. Of each key the last row counts. Rows the target holds
 * already in this form are touched no further. Only for targets that are `mergeable`: MERGE does not say which rows a
 * trigger kept from being written. A key that another load inserts meanwhile is an error, 23505.
 */
export function mergeCommand(
  name: string,
  columns: readonly TargetColumn[],
  target: Target,
  staged: number,
  { distinct, range }: StagedKeys,
): Statement {
  const keys = target.key.map(quoteIdentifier);
  const names = columns.map((column) => quoteIdentifier(column.name));
  const settable = settableOf(columns, target);
  const set = settable.map((column) => `${quoteIdentifier(column.name)} = s.${quoteIdentifier(column.name)}`);
  const last = `(SELECT DISTINCT ON (${keys.join(', ')}) * FROM ${name} ORDER BY ${keys.join(', ')}, ctid DESC)`;
  const on = keys.map((key) => `t.${key} = s.${key}`);
  if (range !== undefined) on.push(`t.${keys[0]} BETWEEN $1 AND $2`);
  const update = `
WHEN MATCHED AND NOT ${sameRow('t', 's', settable)}
  THEN UPDATE SET ${set.join(', ')}`;
  const overriding = overridingOf(columns);
  return {
    text: `MERGE INTO ${target.quotedName} t USING ${distinct === staged ? name : last} s ON ${on.join(' AND ')}${settable.length > 0 ? update : ''}
WHEN NOT MATCHED
  THEN INSERT (${names.join(', ')})${overriding} VALUES (${names.map((column) => `s.${column}`).join(', ')})`,
    values: range ?? [],
  };
}

/** Reads the answer of a MERGE of `staged` rows; undefined when it does not add up. */
export function mergedCounts(
  answer: Answer | undefined,
  staged: number,
  { distinct }: StagedKeys,
): MergeCounts | undefined {
  const written = rowCount(answer);
  if (!(written <= distinct && distinct <= staged)) return undefined;
  return { written, unchanged: distinct - written, duplicate: staged - distinct, passed: 0 };
}

function isInteger({ key, columns }: Target): boolean {
  const [only, ...others] = key;
  return others.length === 0 && columns.some(({ name, baseType }) => name === only && integers.has(baseType));
}
