import type { Comparison, Difference } from '../../contract/index.js';
import { type AskRows, differencesOf, type Staged, told, toldDifferences } from './differences.js';
import { hasEquality, sameValue } from './equality.js';
import { sql } from './flight.js';
import { quoteIdentifier } from './quote.js';
import type { Target, TargetColumn } from './target.js';

/**
 * For rows that were only ever added: each staged row must be in the table as often as it was staged, whatever else is
 * there. Rows are told apart by a 64-bit hash of their text; rows with other columns missing are compared apart. With a
 * key, a row that is not there is shown beside the one that has its key.
 */
export async function comparisonOfRows(
  target: Target,
  staged: readonly Staged[],
  name: string,
  ask: AskRows,
): Promise<Omit<Comparison, 'compared'>> {
  const found = { missing: 0, different: 0, differences: [] as Difference[] };
  for (const [index, { table, columns }] of staged.entries()) {
    const lacking = `pg_temp.${name}_lacking_${index}`;
    const key = keyAmong(columns, target);
    const near = key.length === 0 ? 'false' : key.map((column) => `t.${column} = s.${column}`).join(' AND ');
    const hashed = `(SELECT s.*, ${hashOf('s', columns)} AS ${name} FROM ${table} s) s`;
    await ask(
      sql(`CREATE TEMP TABLE ${lacking} ON COMMIT DROP AS
WITH wanted AS (SELECT ${name} AS h, count(*) AS n FROM ${hashed} GROUP BY ${name}),
there AS (SELECT h, count(*) AS n FROM (${candidates(target, table, columns, key)}) t WHERE h IN (SELECT h FROM wanted) GROUP BY h)
SELECT h, w.n - coalesce(t.n, 0) AS n FROM wanted w LEFT JOIN there t USING (h) WHERE w.n > coalesce(t.n, 0)`),
    );
    const beside = `LEFT JOIN ${target.quotedName} t ON ${near} AND ${hashOf('t', columns)} <> s.${name}`;
    const [counts] = await ask(
      sql(`SELECT coalesce(sum(n) FILTER (WHERE NOT beside), 0), coalesce(sum(n) FILTER (WHERE beside), 0) FROM (
  SELECT l.h, min(l.n) AS n, bool_or(t.ctid IS NOT NULL) AS beside
  FROM ${lacking} l JOIN ${hashed} ON s.${name} = l.h ${beside} GROUP BY l.h
) lacking`),
    );
    const [missing = 0, different = 0] = (counts ?? []).map(Number);
    found.missing += missing;
    found.different += different;
    if (missing + different === 0) continue;
    const named = key.length === 0 ? columns : columns.filter((column) => target.key.includes(column.name));
    const shown = [
      ...named.map((column) => told(`s.${quoteIdentifier(column.name)}`)),
      ...columns.flatMap((column) => {
        const quoted = quoteIdentifier(column.name);
        return [sameValue(column), told(`s.${quoted}`), told(`t.${quoted}`)];
      }),
    ];
    const rows = await ask(
      sql(`SELECT DISTINCT ON (l.h) t.ctid IS NOT NULL, ${shown.join(', ')}
FROM (SELECT h FROM ${lacking} LIMIT ${toldDifferences}) l JOIN ${hashed} ON s.${name} = l.h ${beside} ORDER BY l.h`),
    );
    found.differences.push(...differencesOf(rows, named, columns));
  }
  return { ...found, differences: found.differences.slice(0, toldDifferences) };
}

/** Hashes of the target's rows that may be among those staged; by the key alone where there is one. */
function candidates(target: Target, table: string, columns: readonly TargetColumn[], key: readonly string[]): string {
  const all = `SELECT ${hashOf('t', columns)} AS h FROM ${target.quotedName} t`;
  if (key.length === 0) return all;
  const byKey = `${all} WHERE (${key.map((column) => `t.${column}`).join(', ')}) IN (SELECT ${key.join(', ')} FROM ${table})`;
  const nullable = target.columns.filter(({ name, notNull }) => !notNull && target.key.includes(name));
  if (nullable.length === 0) return byKey;
  return `${byKey} UNION ALL ${all} WHERE ${nullable.map(({ name }) => `t.${quoteIdentifier(name)} IS NULL`).join(' OR ')}`;
}

/** Quoted; empty unless every column of the key is there and rows can be found by it. */
function keyAmong(columns: readonly TargetColumn[], target: Target): string[] {
  const found = columns.filter((column) => target.key.includes(column.name) && hasEquality(column));
  return found.length < target.key.length ? [] : target.key.map(quoteIdentifier);
}

/** 1.10 and 1.1 are the same number with two texts. */
function hashOf(row: string, columns: readonly TargetColumn[]): string {
  const values = columns.map(({ name, baseType }) => {
    const value = `${row}.${quoteIdentifier(name)}`;
    return baseType === 'numeric' ? `trim_scale(${value})` : value;
  });
  return `hashtextextended(ROW(${values.join(', ')})::text, 0)`;
}
