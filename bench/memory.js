// @ts-check
import { cities, loadCities, startCities } from './cities.js';
import { freshTable } from './fresh-table.js';
import { medianOf, sideBySide } from './side-by-side.js';
import { timedSluice } from './sluice.js';

export const title = 'Peak memory';

export const method = `Peak resident memory of the \`sluice\` process (on Linux VmHWM, read as it exits), with the default number of workers: CSV files of
100 thousand and, with \`--long\`, 10 million rows; and the cities API over HTTP.`;

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, files, folder, long, rounds, rows: all }) {
  const sections = [];
  const verdicts = [];
  const most = 128;
  for (const rows of long ? [100_000, 10_000_000] : [Math.min(all, 100_000)]) {
    const file = await files.whole(rows);
    for (const mode of ['append', 'upsert']) {
      const { ours } = await sideBySide(rows > 1_000_000 ? 1 : rounds, {
        name: `sluice load rows.csv --mode ${mode}`,
        ...freshTable(database, { rows }),
        measure: (/** @type {string} */ table) =>
          timedSluice(folder, ['load', file, database.url, '--table', table, '--mode', mode, '--key', 'id']),
      });
      sections.push({ rows, measured: [ours] });
      const what = `peak RSS, ${mode} of ${rows.toLocaleString('en')} rows from a CSV file`;
      verdicts.push({ what, value: medianOf(ours, 'peak'), most, unit: 'MB' });
    }
  }
  const api = await startCities();
  try {
    const { ours } = await sideBySide(rounds, {
      name: 'sluice load http://...',
      prepare: async (round) => `${database.schema}.cities_${round}`,
      measure: (table) => timedSluice(folder, loadCities(api.url, database.url, table)),
      after: (table) => database.drop(table),
    });
    sections.push({ rows: cities, measured: [ours] });
    verdicts.push({ what: 'peak RSS, 10,000 records by HTTP', value: medianOf(ours, 'peak'), most, unit: 'MB' });
  } finally {
    await api[Symbol.asyncDispose]();
  }
  return { sections, verdicts };
}
