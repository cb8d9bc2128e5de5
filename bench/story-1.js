// @ts-check
import { cities, loadCities, readCities, startCities } from './cities.js';
import { inTurn, medianOf } from './side-by-side.js';
import { timedSluice } from './sluice.js';

export const title = 'Story 1: 10,000 records from a paginated API into a table';

export const method = `\`sluice load http://... postgres://... --create --mode upsert --key id --pagination page ... --page-size 100 --parallel 8\`, the whole
process from start to exit, and the same by offset. The API is the one of \`sluice demo\` (json-server with GeoNames cities), in a
process of its own; the table does not exist beforehand. "The API alone" asks for all pages, eight at once, and does nothing with
them: json-server looks through all records for each page asked for by \`_page\`, and not for one by \`_start\`.`;

const styles = /** @type {const} */ ([
  ['page', 'by page number'],
  ['offset', 'by offset'],
]);

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, folder, rounds }) {
  const api = await startCities();
  try {
    const contenders = styles.flatMap(([style, how]) => [
      {
        name: `sluice load http://..., ${how}`,
        prepare: async (/** @type {number} */ round) => `${database.schema}.cities_${style}_${round}`,
        measure: (/** @type {string} */ table) => timedSluice(folder, loadCities(api.url, database.url, table, style)),
        async after(/** @type {string} */ table) {
          await database.expectRows(table, cities);
          await database.drop(table);
        },
      },
      { name: `the API alone, ${how}`, measure: async () => ({ seconds: await readCities(api.url, style) }) },
    ]);
    const measured = await inTurn(rounds, contenders);
    const verdicts = measured
      .filter((_, index) => index % 2 === 0)
      .map((ours) => ({ what: `${ours.name}, start to exit`, value: medianOf(ours), most: 1.5, unit: 's' }));
    return { sections: [{ rows: cities, measured }], verdicts };
  } finally {
    await api[Symbol.asyncDispose]();
  }
}
