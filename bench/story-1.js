// @ts-check
import { cities, loadCities, startCities } from './cities.js';
import { medianOf, sideBySide } from './side-by-side.js';
import { timedSluice } from './sluice.js';

export const title = 'Story 1: 10,000 records from a paginated API into a table';

export const method = `\`sluice load http://... postgres://... --create --mode upsert --key id --pagination page ... --page-size 100 --parallel 8\`, the whole
process from start to exit. The API is the one of \`sluice demo\` (json-server with GeoNames cities), in a process of its own; the
table does not exist beforehand.`;

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, folder, rounds }) {
  const api = await startCities();
  try {
    const { ours } = await sideBySide(rounds, {
      name: 'sluice load http://...',
      prepare: async (round) => `${database.schema}.cities_${round}`,
      measure: (table) => timedSluice(folder, loadCities(api.url, database.url, table)),
      async after(table) {
        await database.expectRows(table, cities);
        await database.drop(table);
      },
    });
    return {
      sections: [{ rows: cities, measured: [ours] }],
      verdicts: [{ what: 'whole process, start to exit', value: medianOf(ours), most: 1.5, unit: 's' }],
    };
  } finally {
    await api[Symbol.asyncDispose]();
  }
}
