import type { Difference } from '../../contract/index.js';
import type { Statement, TargetColumn } from './target.js';

/** Differences told of one comparison. */
export const toldDifferences = 20;

/** Rows with the same columns present, in a table of the transaction. */
export interface Staged {
  readonly table: string;
  readonly columns: readonly TargetColumn[];
}

/** Rows of a statement's answer. */
export type AskRows = (statement: Statement) => Promise<readonly (readonly (string | null)[])[]>;

/** A text of a value, short enough to be told. */
export function told(expression: string): string {
  return `left(${expression}::text, 1000)`;
}

/** Reads the answer of a query for differences: whether the row is there, its key, then of each column: same, expected, found. */
export function differencesOf(
  rows: readonly (readonly (string | null)[])[],
  key: readonly TargetColumn[],
  columns: readonly TargetColumn[],
): Difference[] {
  return rows.flatMap(([there, ...cells]): Difference[] => {
    const named = Object.fromEntries(key.map(({ name }, i) => [name, cells[i] ?? null]));
    if (there !== 't') return [{ key: named, column: null, expected: null, found: null }];
    return columns.flatMap(({ name }, i) => {
      const [same, expected = null, found = null] = cells.slice(key.length + 3 * i);
      return same === 't' ? [] : [{ key: named, column: name, expected, found }];
    });
  });
}
