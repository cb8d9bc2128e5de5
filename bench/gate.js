// @ts-check
import { freshTable } from './fresh-table.js';
import { medianOf } from './side-by-side.js';
import { startSlowLine } from './slow-line.js';
import { sluice } from './sluice.js';

export const title = 'The number of batches in flight: found, beside each fixed one';

export const method = `\`sluice load rows.csv postgres://...\` without any setting against the same with \`--workers N\` (whose batches adapt
too), through a line of our own (bench/slow-line-server.js) that adds a round trip and, where it says so, shares a bandwidth of 10 MB/s
among all connections; append into an empty table and upsert into a full one with every row changed. The loads take turns; "load" is
the load alone, its climb included. SLUICE_BENCH_LINES names the lines to measure, such as \`30,2\` or \`30/10\` (milliseconds, and
megabytes a second); SLUICE_BENCH_MODES the modes.`;

const lines = ['0.1', '2', '30', '0.1/10', '2/10', '30/10'];
const counts = [1, 2, 4, 8, 16, 32];

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, files, folder, rounds, rows }) {
  const chosen = process.env.SLUICE_BENCH_LINES?.split(',') ?? lines;
  const modes = process.env.SLUICE_BENCH_MODES?.split(',') ?? ['append', 'upsert'];
  const file = await files.whole(rows);
  const sections = [];
  const verdicts = [];
  for (const mode of modes) {
    const full = mode === 'upsert' ? await database.fill(await files.whole(rows, 1)) : undefined;
    for (const name of chosen) {
      const [roundTrip = 0, bandwidth] = name.split('/').map(Number);
      const line = await startSlowLine(database.url, { roundTrip, ...(bandwidth && { bandwidth }) });
      const { prepare, after } = freshTable(database, { rows, ...(full && { like: full }) });
      const target = ['load', file, line.url, '--mode', mode, ...(mode === 'upsert' ? ['--key', 'id'] : [])];
      const contenders = [undefined, ...counts].map((workers) => ({
        name: workers === undefined ? 'adaptive' : `--workers ${workers}`,
        flags: workers === undefined ? [] : ['--workers', String(workers)],
        /** @type {import('./side-by-side.js').Measurement[]} */
        measurements: [],
      }));
      try {
        for (let round = 0; round < rounds; round++) {
          for (const { flags, measurements } of contenders) {
            const table = await prepare();
            const { seconds, load, peak } = await sluice(folder, [...target, '--table', table, ...flags]);
            measurements.push({ seconds, load, peak });
            await after(table, round);
            process.stdout.write('.');
          }
        }
      } finally {
        await line[Symbol.asyncDispose]();
      }
      process.stdout.write('\n');
      const [adaptive, ...fixed] = contenders;
      if (adaptive === undefined) continue;
      const best = Math.min(...fixed.map((contender) => medianOf(contender, 'load')));
      const where = `${mode}, ${roundTrip} ms${bandwidth ? `, ${bandwidth} MB/s` : ''}`;
      sections.push({ heading: where, rows, measured: contenders });
      const value = best / medianOf(adaptive, 'load');
      verdicts.push({ what: `times the rate of the best fixed number, ${where}`, value, least: 0.9, unit: 'x' });
    }
    if (full) await database.drop(full);
  }
  return { sections, verdicts };
}
