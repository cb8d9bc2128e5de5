// @ts-check
import { freshTable } from './fresh-table.js';
import { copyFiles } from './peers/psql.js';
import { objectLoader, timedScript } from './scripts.js';
import { atLeast, sideBySide } from './side-by-side.js';

export const title = 'Append: objects in memory into a table';

export const method = `\`load({ source: iterable(rows), sink: postgres(...), workers: N })\` of rows that are JavaScript objects (number, string, null, Date, array)
against psql's \`\\copy\` of the same rows as CSV through N sessions. Sluice is timed around \`load()\`, the objects made beforehand;
psql as whole processes. Each load has a new, empty table with a bigint primary key.`;

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, files, psql, rounds, rows }) {
  const sections = [];
  const verdicts = [];
  for (const connections of [1, 2]) {
    const sessions = connections === 1 ? '1 connection' : `${connections} connections`;
    const parts = psql ? await files.cut(rows, connections) : [];
    const { prepare, after } = freshTable(database, { rows });
    const { ours, theirs } = await sideBySide(
      rounds,
      {
        name: 'load(iterable)',
        prepare,
        measure: (table) => timedScript(objectLoader, [database.url, table, String(rows), String(connections)]),
        after,
      },
      psql === undefined
        ? undefined
        : {
            name: 'psql \\copy',
            prepare,
            measure: async (table) => ({ seconds: await copyFiles(database.url, table, parts) }),
            after,
          },
    );
    sections.push({
      heading: sessions,
      rows,
      measured: [ours, theirs],
    });
    if (theirs) verdicts.push(atLeast(0.8, ours, theirs, { what: `times psql's rate, ${sessions}` }));
  }
  return { sections, verdicts };
}
