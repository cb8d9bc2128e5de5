// @ts-check
import { freshTable } from './fresh-table.js';
import { atLeast, sideBySide } from './side-by-side.js';
import { timedSluice } from './sluice.js';

export const title = 'The cost of safety: append with the ledger and without';

export const method = `\`sluice load rows.csv postgres://... --batch-size 5000\` with the ledger (the default) against the same with \`--no-ledger\`, with
2 and with 8 workers; "load" is the load alone, as Sluice's report has it. Each load has a new, empty table with a bigint primary key.`;

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, files, folder, rounds, rows }) {
  const sections = [];
  const verdicts = [];
  const file = await files.whole(rows);
  for (const workers of [2, 8]) {
    const { prepare, after } = freshTable(database, { rows });
    /** @param {readonly string[]} flags */
    const loading = (flags) => (/** @type {string} */ table) => {
      const fixed = ['--table', table, '--workers', String(workers), '--batch-size', '5000'];
      return timedSluice(folder, ['load', file, database.url, ...fixed, ...flags]);
    };
    const { ours, theirs } = await sideBySide(
      rounds,
      { name: 'with the ledger', prepare, measure: loading([]), after },
      { name: '--no-ledger', prepare, measure: loading(['--no-ledger']), after },
    );
    sections.push({ heading: `${workers} workers, batches of 5,000 rows`, rows, measured: [ours, theirs] });
    const what = `times the rate without, ${workers} workers`;
    verdicts.push(atLeast(0.95, ours, theirs, { what, figure: 'load', peerFigure: 'load' }));
  }
  return { sections, verdicts };
}
