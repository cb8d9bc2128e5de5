// @ts-check
import { freshTable } from './fresh-table.js';
import { csvLine } from './rows.js';
import { medianOf, sideBySide } from './side-by-side.js';
import { sluice, timedSluice } from './sluice.js';

export const title = 'One bad row in a hundred';

export const method = `\`sluice load rows.csv postgres://... --max-errors 2%\` of a file in which every hundredth row is one the database refuses (in turn a
number, a time, an array and a key that are none), against the same file without faults. Whole processes, default number of
workers. PostgreSQL 16 and newer judges rows without an exception each; the target is for those.`;

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, files, folder, rounds, rows: all }) {
  const rows = Math.min(all, 500_000);
  const bad = Math.floor(rows / 100);
  const clean = await files.whole(rows);
  const faulty = await files.make(`rows-${rows}-faulty`, { to: rows, line: faultyLine });
  const { ours, theirs } = await sideBySide(
    rounds,
    {
      name: '1 % bad rows',
      ...freshTable(database, { rows: rows - bad }),
      measure: async (/** @type {string} */ table) => {
        const args = ['load', faulty, database.url, '--table', table, '--max-errors', '2%'];
        const { seconds, load, peak, report } = await sluice(folder, args, { codes: [1] });
        if (report.rejected !== bad) throw new Error(`${report.rejected} rows were rejected instead of ${bad}`);
        return { seconds, load, peak };
      },
    },
    {
      name: 'clean',
      ...freshTable(database, { rows }),
      measure: (/** @type {string} */ table) => timedSluice(folder, ['load', clean, database.url, '--table', table]),
    },
  );
  const judged = database.versionNumber >= 160_000;
  const value = medianOf(ours) / medianOf(theirs);
  return {
    sections: [{ rows, measured: [ours, theirs] }],
    verdicts: judged ? [{ what: 'times as long as a clean load', value, most: 2, unit: '' }] : [],
  };
}

/** @param {import('./rows.js').Row} row */
function faultyLine(row) {
  const line = csvLine(row);
  if (row.id % 100 !== 0) return line;
  switch ((row.id / 100) % 4) {
    case 0:
      return line.replace(`,${row.amount},`, ',12x50,');
    case 1:
      return line.replace(/,\d{4}-\d\d-\d\d /, ',2024-13-45 ');
    case 2:
      return line.replace(/"\{/, '"{{');
    default:
      return `no.${line}`;
  }
}
