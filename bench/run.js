// @ts-check
/**
 * Runs the benchmarks: `npm run bench -- [name ...] [--quick] [--long] [--rows N]`. README.md beside this file says what they
 * are and what the switches do.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine } from './bench.js';
import { openDatabase } from './database.js';
import { csvFiles } from './files.js';
import { psqlVersion } from './peers/psql.js';
import { describe, writeResults } from './results.js';
import { isMet } from './side-by-side.js';

const benches = [
  'start',
  'csv-append',
  'objects',
  'upsert',
  'inserts',
  'story-1',
  'lambda',
  'memory',
  'bad-rows',
  'ledger',
  'aerospike',
  'gate',
];
const fullRows = 1_000_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean' }, long: { type: 'boolean' }, rows: { type: 'string' } },
});
const unknown = positionals.filter((name) => !benches.includes(name));
if (unknown.length > 0) throw new Error(`no benchmark ${unknown.join(', ')}; there are ${benches.join(', ')}`);
const rows = Number(values.rows ?? fullRows);
if (!Number.isSafeInteger(rows) || rows < 1000) throw new Error('--rows takes a whole number from 1000 up');
// Figures of a small data set or few rounds are for trying things, not for keeping.
const keep = rows === fullRows && !values.quick;

const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
const missed = [];
const database = await openDatabase();
try {
  const psql = await psqlVersion();
  const facts = machine(database, psql);
  for (const [fact, value] of Object.entries(facts)) console.log(`${fact}: ${value}`);
  const files = csvFiles(folder);
  for (const name of positionals.length > 0 ? positionals : benches) {
    const { title, method, measure, rounds: usual = 5 } = await import(`./${name}.js`);
    const rounds = values.quick ? 3 : usual;
    console.log(`\n## ${name}: ${title}\n`);
    const before = load();
    /** @type {import('./bench.js').Outcome} */
    const measured = await measure({ database, files, folder, psql, rounds, rows, long: values.long ?? false });
    const { facts: own, notRun, ...outcome } = measured;
    if (notRun) {
      console.log(`NOT RUN: ${notRun}`);
      continue;
    }
    console.log(`\n${describe(outcome)}`);
    missed.push(...outcome.verdicts.filter((verdict) => !isMet(verdict)).map(({ what }) => `${name}: ${what}`));
    const noise = `load average ${before} before, ${load()} after; one of these runs alone makes 1 to 2`;
    const result = { title, method, machine: { ...facts, ...own, noise }, outcome };
    if (keep) await writeResults(new URL('results/', import.meta.url), name, result);
  }
} finally {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}
console.log(
  missed.length === 0 ? '\nEvery target is met.' : `\nMissed:\n${missed.map((what) => `- ${what}`).join('\n')}`,
);
if (!keep) console.log('Not written to bench/results/: that takes the whole data set and all rounds.');

/** Processes that ran or waited to run in the last minute, on average. */
function load() {
  return (loadavg()[0] ?? 0).toFixed(1);
}
