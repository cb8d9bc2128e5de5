import type { Answer } from './flight.js';
import { quoteIdentifier } from './quote.js';
import type { Statement, Target, TargetColumn } from './target.js';

/** Rows of a merge: each staged row is in exactly one. */
export interface MergeCounts {
  readonly written: number;
  readonly unchanged: number;
  readonly duplicate: number;
  /** Of the unchanged: new when the join looked, and yet not inserted. */
  readonly passed: number;
}

/**
 * For the rest of the transaction. A staging table has no statistics, and the planner's guess of it, with the usual cost
 * of a random page, makes it read through a table of 300,000 rows where 5,000 look-ups by the key's index are five times
 * faster; small tables are still joined by hash. Compiling a merge would cost more than the merge.
 */
export const planning: Statement = {
  text: "SELECT set_config('random_page_cost', '0.1', true), set_config('jit', 'off', true)",
  values: [],
};

/**
 * Makes the staging table of one COPY. It lives in the transaction, as poolers in transaction mode need it. Its key
 * columns are NOT NULL, so that COPY names the row whose key is null.
 */
export function stage(name: string, columns: readonly TargetColumn[], target: Target): Statement[] {
  const names = columns.map((column) => quoteIdentifier(column.name)).join(', ');
  const keys = target.key.map((key) => `ALTER COLUMN ${quoteIdentifier(key)} SET NOT NULL`).join(', ');
  return [
    {
      text: `CREATE TEMP TABLE ${name} ON COMMIT DROP AS SELECT ${names} FROM ${target.quotedName} WITH NO DATA`,
      values: [],
    },
    { text: `ALTER TABLE ${name} ${keys}`, values: [] },
  ];
}

/**
 * Moves the staged rows into the target. Of each key the last row counts, or, where rows that are there stay, the first.
 * Rows the target holds already in this form
 * are found by a join and touched no further: ON CONFLICT ... WHERE alone would lock each of them and log that.
 * Its answer is read by `mergeCounts`.
 */
export function merge(name: string, columns: readonly TargetColumn[], target: Target): Statement {
  const keys = target.key.map(quoteIdentifier);
  const names = columns.map((column) => quoteIdentifier(column.name));
  const settable = settableOf(columns, target);
  const updates = target.mode === 'upsert' && settable.length > 0;
  const same = updates ? sameRow('t', 's', settable) : 'true';
  const action = updates
    ? `DO UPDATE SET ${settable.map(({ name: column }) => `${quoteIdentifier(column)} = EXCLUDED.${quoteIdentifier(column)}`).join(', ')}`
    : 'DO NOTHING';
  const overriding = overridingOf(columns);
  const order = keys.map((key) => `s.${key}`).join(', ');
  return {
    text: `WITH latest AS MATERIALIZED (
  SELECT DISTINCT ON (${order}) ${names.map((column) => `s.${column}`).join(', ')}, t.ctid IS NOT NULL AND ${same} AS sluice_same
  FROM ${name} s LEFT JOIN ${target.quotedName} t ON ${keys.map((key) => `t.${key} = s.${key}`).join(' AND ')}
  ORDER BY ${order}, s.ctid ${target.mode === 'ignore' ? 'ASC' : 'DESC'}
), merged AS (
  INSERT INTO ${target.quotedName} (${names.join(', ')})${overriding}
  SELECT ${names.join(', ')} FROM latest WHERE NOT sluice_same ORDER BY ${keys.join(', ')}
  ON CONFLICT (${keys.join(', ')}) ${action} RETURNING 1
)
SELECT (SELECT count(*) FROM merged), count(*), count(*) FILTER (WHERE sluice_same) FROM latest`,
    values: [],
  };
}

/** Columns that a row which is there has already, and a new one would need. */
export function lacking(columns: readonly TargetColumn[], target: Target): TargetColumn[] {
  return target.columns.filter((column) => column.notNull && !column.hasDefault && !columns.includes(column));
}

/**
 * As `merge`, for rows too incomplete to be inserted: updates those whose key is there, and says which lines of the COPY
 * are new (last in its answer, separated by commas).
 */
export function mergeKnown(name: string, columns: readonly TargetColumn[], target: Target): Statement {
  const keys = target.key.map(quoteIdentifier);
  const settable = settableOf(columns, target);
  const updates = target.mode === 'upsert' && settable.length > 0;
  const on = (left: string, right: string) => keys.map((key) => `${left}.${key} = ${right}.${key}`).join(' AND ');
  const same = updates ? sameRow('t', 's', settable) : 'true';
  const set = settable.map((column) => quoteIdentifier(column.name)).map((column) => `${column} = l.${column}`);
  const update = `UPDATE ${target.quotedName} t SET ${set.join(', ')} FROM latest l WHERE NOT l.sluice_same AND ${on('t', 'l')} RETURNING 1`;
  return {
    text: `WITH staged AS MATERIALIZED (
  SELECT s.*, row_number() OVER (ORDER BY s.ctid) AS sluice_line, t.ctid IS NOT NULL AS sluice_there, ${same} AS sluice_same
  FROM ${name} s LEFT JOIN ${target.quotedName} t ON ${on('t', 's')}
), latest AS MATERIALIZED (
  SELECT DISTINCT ON (${keys.join(', ')}) * FROM staged WHERE sluice_there ORDER BY ${keys.join(', ')}, sluice_line DESC
), merged AS (
  ${updates ? update : 'SELECT 1 WHERE false'}
)
SELECT (SELECT count(*) FROM merged), count(*), count(*) FILTER (WHERE sluice_same),
  (SELECT string_agg(sluice_line::text, ',') FROM staged WHERE NOT sluice_there) FROM latest`,
    values: [],
  };
}

/** Columns that an update sets: neither the key nor what the table alone may give. */
export function settableOf(columns: readonly TargetColumn[], target: Target): TargetColumn[] {
  return columns.filter((column) => !target.key.includes(column.name) && column.identity !== 'always');
}

/** What an INSERT says in order to give an identity column its value. */
export function overridingOf(columns: readonly TargetColumn[]): string {
  return columns.some((column) => column.identity === 'always') ? ' OVERRIDING SYSTEM VALUE' : '';
}

/**
 * Whether two rows are stored alike, which is more than that their values are equal: numeric 1.1 and 1.10 are, and 0 and -0, and texts a
 * collation takes for the same, and some types (json, xml) have no equality. Where equality does not tell, their images are compared, as
 * REFRESH MATERIALIZED VIEW CONCURRENTLY does it; that takes longer, for it makes two records of each row.
 */
export function sameRow(left: string, right: string, columns: readonly TargetColumn[]): string {
  const tests: string[] = [];
  for (const { name, toldBy } of columns) {
    if (toldBy === 'image') continue;
    const [a, b] = [left, right].map((table) => `${table}.${quoteIdentifier(name)}`);
    tests.push(`${a} IS NOT DISTINCT FROM ${b}`);
    if (toldBy === 'scale') tests.push(`pg_catalog.scale(${a}) IS NOT DISTINCT FROM pg_catalog.scale(${b})`);
  }
  const others = columns.filter(({ toldBy }) => toldBy === 'image');
  if (others.length > 0) tests.push(`${image(left, others)} OPERATOR(pg_catalog.*=) ${image(right, others)}`);
  return `(${tests.join(' AND ')})`;
}

/** The cast makes a record of the row before the operator is resolved, which else would go column by column. */
function image(table: string, columns: readonly TargetColumn[]): string {
  return `ROW(${columns.map(({ name }) => `${table}.${quoteIdentifier(name)}`).join(', ')})::record`;
}

/** How many of the staged keys the target does not have, as of now: what mode ignore passed over must be there. */
export function missing(name: string, target: Target): Statement {
  const match = target.key.map(quoteIdentifier).map((key) => `t.${key} = s.${key}`);
  return {
    text: `SELECT count(*) FROM ${name} s WHERE NOT EXISTS (SELECT FROM ${target.quotedName} t WHERE ${match.join(' AND ')})`,
    values: [],
  };
}

/**
 * Reads the answer of a merge of `staged` rows; undefined when it does not add up.
 * Another load may insert a key after the join looked for it: then an update counts as written, a row left alone as unchanged.
 */
export function mergeCounts(answer: Answer | undefined, staged: number, target: Target): MergeCounts | undefined {
  const [written = -1, judged = -1, same = -1] = (answer?.rows[0] ?? []).map(Number);
  const due = judged - same;
  if (written < 0 || judged > staged || written > due || (written < due && target.mode === 'upsert')) return undefined;
  return { written, unchanged: judged - written, duplicate: staged - judged, passed: due - written };
}
