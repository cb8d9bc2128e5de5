// @ts-check
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { freshTable } from './fresh-table.js';
import { objectLoader, oneInsert, timedScript } from './scripts.js';
import { atLeast, medianOf, sideBySide } from './side-by-side.js';
import { startSlowLine } from './slow-line.js';
import { timedSluice } from './sluice.js';

export const title = 'The number of batches in flight: found, beside each fixed one';

export const method = `\`sluice load rows.csv postgres://...\` without any setting against the same with \`--workers N\` (whose batches adapt
too), through a line of our own (bench/slow-line-server.js) that adds a round trip and, where it says so, shares a bandwidth of 10 MB/s
among all connections; append into an empty table and upsert into a full one with every row changed, as many rows as the best
number takes some ten seconds for. The loads take turns, as many rounds as the heading says; a number that took a fifth longer than the
best in the first round is not measured again. "load" is the load alone, its climb included. Then 10,000 rows beside a fixed number,
four for each core. Last, 100,000 objects over 30 ms beside one INSERT a record through 20 connections, once: that takes minutes.

The parts can be measured apart: SLUICE_BENCH_LINES names the lines, such as \`30,2\` or \`30/10\` (milliseconds, and megabytes a second),
\`short\` or \`inserts\`; SLUICE_BENCH_MODES the modes. What was measured before stays in the results until it is measured anew; each
part says when.`;

const lines = ['0.1', '2', '30', '0.1/10', '2/10', '30/10'];
const otherParts = ['short', 'inserts'];
const counts = [2, 4, 8, 16];

/**
 * As many rows as take some ten seconds where the usual ones are a million.
 * @param {number} usualRows
 * @param {string} mode
 * @param {number} [bandwidth]
 */
function rowsFor(usualRows, mode, bandwidth) {
  return Math.round(usualRows * (mode === 'append' && bandwidth === undefined ? 2.5 : 1.3));
}

/** @typedef {import('./side-by-side.js').Measured & { flags: readonly string[] }} Contender */

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, files, folder, rounds, rows: usualRows }) {
  const chosen = process.env.SLUICE_BENCH_LINES?.split(',') ?? [...lines, ...otherParts];
  const modes = process.env.SLUICE_BENCH_MODES?.split(',') ?? ['append', 'upsert'];
  const sections = [];
  const verdicts = [];
  for (const mode of modes) {
    const full = mode === 'upsert' ? await database.fill(await files.whole(rowsFor(usualRows, mode), 1)) : undefined;
    for (const name of chosen.filter((line) => !otherParts.includes(line))) {
      const [roundTrip = 0, bandwidth] = name.split('/').map(Number);
      const rows = rowsFor(usualRows, mode, bandwidth);
      const file = await files.whole(rows);
      const line = await startSlowLine(database.url, { roundTrip, ...(bandwidth && { bandwidth }) });
      const { prepare, after } = freshTable(database, { rows, ...(full && { like: full }) });
      const target = ['load', file, line.url, '--mode', mode, ...(mode === 'upsert' ? ['--key', 'id'] : [])];
      /** @param {string} name @param {readonly string[]} flags @returns {Contender} */
      const contender = (name, flags) => ({ name, flags, measurements: [] });
      const adaptive = contender('adaptive', []);
      const fixed = counts.map((count) => contender(`--workers ${count}`, ['--workers', String(count)]));
      const bestFixed = () => Math.min(...fixed.map((contender) => medianOf(contender, 'load')));
      let running = [adaptive, ...fixed];
      try {
        for (let round = 0; round < rounds; round++) {
          for (const { flags, measurements } of running) {
            const table = await prepare();
            measurements.push(await timedSluice(folder, [...target, '--table', table, ...flags]));
            await after(table, round);
            process.stdout.write('.');
          }
          if (round > 0) continue;
          const most = 1.2 * bestFixed();
          running = [adaptive, ...fixed.filter((contender) => medianOf(contender, 'load') <= most)];
        }
      } finally {
        await line[Symbol.asyncDispose]();
      }
      process.stdout.write('\n');
      const where = `${mode}, ${roundTrip} ms${bandwidth ? `, ${bandwidth} MB/s` : ''}`;
      sections.push({ heading: `${where} (${now()})`, rows, measured: [adaptive, ...fixed] });
      const value = bestFixed() / medianOf(adaptive, 'load');
      verdicts.push({ what: `times the rate of the best fixed number, ${where}`, value, least: 0.9, unit: 'x' });
    }
    if (full) await database.drop(full);
  }
  if (chosen.includes('short')) {
    for (const roundTrip of [0.1, 30]) {
      const { section, verdict } = await short(database, folder, await files.whole(10_000), roundTrip);
      sections.push(section);
      verdicts.push(verdict);
    }
  }
  if (chosen.includes('inserts')) {
    const { section, verdict } = await inserts(database, Math.min(usualRows, 100_000));
    sections.push(section);
    verdicts.push(verdict);
  }
  return await merged({ sections, verdicts });
}

/**
 * @param {import('./bench.js').Bench['database']} database
 * @param {string} folder
 * @param {string} file
 * @param {number} roundTrip
 */
async function short(database, folder, file, roundTrip) {
  const rows = 10_000;
  const line = await startSlowLine(database.url, { roundTrip });
  const { prepare, after } = freshTable(database, { rows });
  const workers = String(availableParallelism() * 4);
  /** @param {string} name @param {readonly string[]} flags @returns {import('./side-by-side.js').Contender} */
  const contender = (name, flags) => ({
    name,
    prepare,
    measure: (table) => timedSluice(folder, ['load', file, line.url, '--table', table, ...flags]),
    after,
  });
  try {
    const fixed = contender(`--workers ${workers}`, ['--workers', workers]);
    const { ours, theirs } = await sideBySide(9, contender('adaptive', []), fixed);
    const what = `times the rate of the fixed default, 10,000 rows, ${roundTrip} ms`;
    return {
      section: { heading: `10,000 rows, ${roundTrip} ms (${now()})`, rows, measured: [ours, theirs] },
      verdict: atLeast(0.95, ours, theirs, { what, figure: 'load', peerFigure: 'load' }),
    };
  } finally {
    await line[Symbol.asyncDispose]();
  }
}

/** @param {import('./bench.js').Bench['database']} database @param {number} rows */
async function inserts(database, rows) {
  const line = await startSlowLine(database.url, { roundTrip: 30 });
  const { prepare, after } = freshTable(database, { rows });
  /** @type {import('./side-by-side.js').Measured[]} */
  const measured = [];
  try {
    for (const [name, script, rounds] of /** @type {const} */ ([
      ['load(iterable)', objectLoader, 3],
      ['one INSERT a record, 20 connections', oneInsert, 1],
    ])) {
      const measurements = [];
      for (let round = 0; round < rounds; round++) {
        const table = await prepare();
        measurements.push(await timedScript(script, [line.url, table, String(rows)]));
        await after(table, round);
      }
      measured.push({ name, measurements });
    }
  } finally {
    await line[Symbol.asyncDispose]();
  }
  const [ours, theirs] = measured;
  if (ours === undefined || theirs === undefined) throw new Error('nothing was measured');
  const what = 'times the rate of one INSERT a record through 20 connections, 30 ms';
  return {
    section: {
      heading: `objects, 30 ms, connecting included, ours 3 times and then the inserts once (${now()})`,
      rows,
      measured,
    },
    verdict: { what, value: medianOf(theirs) / medianOf(ours), least: 20, unit: 'x' },
  };
}

/** With what is kept of the parts that were not measured now. @param {import('./bench.js').Outcome} outcome @returns {Promise<import('./bench.js').Outcome>} */
async function merged({ sections, verdicts }) {
  const text = await readFile(new URL('results/gate.json', import.meta.url), 'utf8').catch(
    () => '{"sections":[],"verdicts":[]}',
  );
  /** @type {import('./bench.js').Outcome} */
  const before = JSON.parse(text);
  const names = new Set(sections.map(({ heading }) => part(heading)));
  const judged = new Set(verdicts.map(({ what }) => what));
  return {
    sections: [...before.sections.filter(({ heading }) => !names.has(part(heading))), ...sections],
    verdicts: [...before.verdicts.filter(({ what }) => !judged.has(what)), ...verdicts],
  };
}

/** A heading without its time. @param {string | undefined} heading */
function part(heading = '') {
  return heading.replace(/ \([^)]*\)$/, '');
}

function now() {
  return new Date().toISOString().slice(0, 16).replace('T', ' ');
}
