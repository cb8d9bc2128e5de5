import type { Comparison, Difference } from '../../contract/index.js';
import { type AskRows, differencesOf, type Staged, told, toldDifferences } from './differences.js';
import { sameValue } from './equality.js';
import { sql } from './flight.js';
import { quoteIdentifier } from './quote.js';
import type { Target, TargetColumn } from './target.js';

/**
 * Looks for the row of each staged key. Where a key was given more than once, the row must be as one of them has it: which
 * of them came last depends on the batches they were in. Without `values` only the keys are looked for.
 */
export async function comparisonByKey(
  target: Target,
  staged: readonly Staged[],
  values: boolean,
  name: string,
  ask: AskRows,
): Promise<Omit<Comparison, 'compared'>> {
  const key = target.key.map((column) => target.columns.find((candidate) => candidate.name === column)!);
  const onKey = key.map(({ name: column }) => `t.${quoteIdentifier(column)} = s.${quoteIdentifier(column)}`);
  const joined = (table: string) => `${table} s LEFT JOIN ${target.quotedName} t ON ${onKey.join(' AND ')}`;
  const keys = key.map((_, i) => `k${i}`).join(', ');
  const faulty = `pg_temp.${name}_faulty`;
  const judged = staged.map(({ table, columns }) => {
    const same = values ? compared(columns, target).map(sameValue) : [];
    const named = key.map(({ name: column }, i) => `s.${quoteIdentifier(column)} AS k${i}`).join(', ');
    return `SELECT ${named}, t.ctid IS NOT NULL AS there, ${['t.ctid IS NOT NULL', ...same].join(' AND ')} AS same FROM ${joined(table)}`;
  });
  await ask(
    sql(`CREATE TEMP TABLE ${faulty} ON COMMIT DROP AS
SELECT ${keys}, bool_or(there) AS there FROM (${judged.join(' UNION ALL ')}) judged GROUP BY ${keys} HAVING NOT bool_or(same)`),
  );
  const [counts] = await ask(
    sql(`SELECT count(*) FILTER (WHERE NOT there), count(*) FILTER (WHERE there) FROM ${faulty}`),
  );
  const [missing = 0, different = 0] = (counts ?? []).map(Number);
  const differences: Difference[] = [];
  for (const { table, columns } of missing + different > 0 ? staged : []) {
    const looked = values ? compared(columns, target) : [];
    const shown = [
      ...key.map(({ name: column }) => told(`s.${quoteIdentifier(column)}`)),
      ...looked.flatMap((column) => {
        const quoted = quoteIdentifier(column.name);
        return [sameValue(column), told(`s.${quoted}`), told(`t.${quoted}`)];
      }),
    ];
    const order = key.map((_, i) => `f.k${i}`).join(', ');
    const match = key.map(({ name: column }, i) => `f.k${i} = s.${quoteIdentifier(column)}`).join(' AND ');
    const rows = await ask(
      sql(`SELECT DISTINCT ON (${order}) t.ctid IS NOT NULL, ${shown.join(', ')}
FROM (SELECT * FROM ${faulty} ORDER BY ${keys} LIMIT ${toldDifferences}) f JOIN ${joined(table)} ON ${match}
ORDER BY ${order}, s.ctid DESC`),
    );
    differences.push(...differencesOf(rows, key, looked));
  }
  return { missing, different, differences: differences.slice(0, toldDifferences) };
}

/** An update leaves the key, and identity columns the database alone may set, as they are. */
function compared(columns: readonly TargetColumn[], target: Target): TargetColumn[] {
  return columns.filter(
    ({ name, identity }) => !target.key.includes(name) && !(target.mode === 'upsert' && identity === 'always'),
  );
}
