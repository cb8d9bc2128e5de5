// @ts-check
import { freshTable } from './fresh-table.js';
import { mergeFiles } from './peers/psql.js';
import { atLeast, medianOf, sideBySide } from './side-by-side.js';
import { sluice } from './sluice.js';

export const title = 'Upsert into a full table';

export const method = `\`sluice load rows.csv postgres://... --mode upsert --key id --workers N\` into a table that holds all the keys, with every row changed
and with none changed, against plain SQL run by psql through N sessions, each with its share of the file in one transaction: \`\\copy\`
into a temporary table, then INSERT ... ON CONFLICT DO UPDATE of the staged rows that a join with the table finds new or changed
(bench/peers/psql.js). Whole processes, from start to exit. Each starts from a copy of the full table, vacuumed, analyzed and
checkpointed. WAL is the difference of pg_current_wal_lsn() around the run; where the server has pg_walinspect, the records that
touch the table or its index are counted as well.`;

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, files, folder, psql, rounds, rows }) {
  const full = await database.fill(await files.whole(rows));
  const sections = [];
  const verdicts = [];
  for (const [state, version] of /** @type {const} */ ([
    ['all changed', 1],
    ['none changed', 0],
  ])) {
    for (const connections of [1, 2]) {
      const sessions = connections === 1 ? '1 connection' : `${connections} connections`;
      const file = await files.whole(rows, version);
      const parts = connections === 1 ? [file] : await files.cut(rows, connections, version);
      const { prepare, after } = freshTable(database, { rows, like: full });
      /** @param {string} table @param {() => Promise<{ seconds: number }>} work */
      const withWal = async (table, work) => {
        const from = await database.walEnd();
        const figures = await work();
        const wal = await database.walSince(from, version === 0 ? table : undefined);
        return { ...figures, ...wal };
      };
      const { ours, theirs } = await sideBySide(
        rounds,
        {
          name: 'sluice load --mode upsert',
          prepare,
          measure: (table) =>
            withWal(table, async () => {
              const target = ['--table', table, '--mode', 'upsert', '--key', 'id'];
              const args = ['load', file, database.url, ...target, '--workers', String(connections)];
              const { seconds, load, peak, report } = await sluice(folder, args);
              const touched = version === 0 ? report.unchanged : report.written;
              if (touched !== rows) throw new Error(`${touched} of ${rows} rows were ${state}`);
              return { seconds, load, peak };
            }),
          after,
        },
        psql === undefined
          ? undefined
          : {
              name: 'psql, staging and merge',
              prepare,
              measure: (table) =>
                withWal(table, async () => ({ seconds: await mergeFiles(database.url, table, parts) })),
              after,
            },
      );
      const heading = `${state}, ${sessions}`;
      sections.push({ heading, rows, measured: [ours, theirs] });
      if (theirs) verdicts.push(atLeast(1, ours, theirs, { what: `times plain SQL's rate, ${heading}` }));
      if (version === 0 && ours && 'walOfTable' in (ours.measurements[0] ?? {})) {
        const value = medianOf(ours, 'walOfTable');
        verdicts.push({ what: `WAL records of the table, ${heading}`, value, most: 0, unit: '' });
      }
    }
  }
  await database.drop(full);
  return { sections, verdicts };
}
