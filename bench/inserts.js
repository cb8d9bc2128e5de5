// @ts-check
import { freshTable } from './fresh-table.js';
import { objectLoader, oneInsert, timedScript } from './scripts.js';
import { atLeast, sideBySide } from './side-by-side.js';

export const title = 'Objects in memory: Sluice and one INSERT a record';

export const method = `\`load({ source: iterable(rows), sink: postgres(...) })\` with nothing else said, against one INSERT a record with \`pg\`, prepared, 20
connections at work all the time. Both are timed within their process, without the making of the objects, connecting and closing
included. Each has a new, empty table with a bigint primary key.`;

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, rounds, rows: all }) {
  const rows = Math.min(all, 100_000);
  const { prepare, after } = freshTable(database, { rows });
  const { ours, theirs } = await sideBySide(
    rounds,
    {
      name: 'load(iterable)',
      prepare,
      measure: (table) => timedScript(objectLoader, [database.url, table, String(rows)]),
      after,
    },
    {
      name: 'one INSERT a record',
      prepare,
      measure: (table) => timedScript(oneInsert, [database.url, table, String(rows)]),
      after,
    },
  );
  return {
    sections: [{ rows, measured: [ours, theirs] }],
    verdicts: [atLeast(10, ours, theirs, { what: 'times the rate of one INSERT a record' })],
  };
}
