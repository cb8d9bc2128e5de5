// @ts-check
import { freshTable } from './fresh-table.js';
import { copyFiles } from './peers/psql.js';
import { atLeast, sideBySide } from './side-by-side.js';
import { timedSluice } from './sluice.js';

export const title = 'Append: a CSV file into a table';

export const method = `\`sluice load rows.csv postgres://... --workers N\` against psql's \`\\copy\` of the same rows through N sessions; for two, the file is
cut in two at a record end beforehand and two psql run at once. Whole processes, from start to exit; "load" is the load alone,
as Sluice's report has it. Each load has a new, empty table with a bigint primary key.`;

/** Either side's rounds lie up to a third apart on a shared machine: of five, the medians would say little of a tenth. */
export const rounds = 11;

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, files, folder, psql, rounds, rows }) {
  const sections = [];
  const verdicts = [];
  for (const connections of [1, 2]) {
    const sessions = connections === 1 ? '1 connection' : `${connections} connections`;
    const file = await files.whole(rows);
    const parts = connections === 1 ? [file] : await files.cut(rows, connections);
    const { prepare, after } = freshTable(database, { rows });
    const { ours, theirs } = await sideBySide(
      rounds,
      {
        name: 'sluice load',
        prepare,
        measure: (table) =>
          timedSluice(folder, ['load', file, database.url, '--table', table, '--workers', String(connections)]),
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
    if (!theirs) continue;
    verdicts.push(
      atLeast(1, ours, theirs, { what: `times psql's rate, ${sessions}, whole process` }),
      atLeast(1, ours, theirs, { what: `times psql's rate, ${sessions}, load alone`, figure: 'load' }),
    );
  }
  return { sections, verdicts };
}
