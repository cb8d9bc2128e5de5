// @ts-check

/**
 * What is done before and after each measurement that loads the data set: a table of its own, then the check that it holds what
 * it should. All loads that share one of these must leave the same rows behind.
 * @param {import('./database.js').Database} database
 * @param {{ rows: number, like?: string }} expected rows in the end; `like`: the table is a copy of this one at the start
 */
export function freshTable(database, { rows, like }) {
  /** @type {string | undefined} */
  let checksum;
  return {
    prepare: () => database.table({ like }),

    /** @param {string} table @param {number} round */
    async after(table, round) {
      await database.expectRows(table, rows);
      if (round === 0) {
        const found = await database.checksum(table);
        checksum ??= found;
        if (found !== checksum) throw new Error('those compared have not left the same rows behind');
      }
      await database.drop(table);
    },
  };
}
