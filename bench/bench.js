// @ts-check
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';

/**
 * What a benchmark works with.
 * @typedef {object} Bench
 * @property {import('./database.js').Database} database
 * @property {import('./files.js').CsvFiles} files
 * @property {string} folder a temporary one; run folders go there
 * @property {string | undefined} psql its version, undefined where there is none
 * @property {number} rounds five, or as many as the benchmark exports as `rounds`; three of a quick run
 * @property {number} rows of the data set
 * @property {boolean} long what takes minutes is measured too
 */

/**
 * What it comes to. A section is a table of those that were compared; `rows` are what each of them moved.
 * @typedef {object} Outcome
 * @property {{ heading?: string, rows?: number, measured: (import('./side-by-side.js').Measured | undefined)[] }[]} sections
 * @property {import('./side-by-side.js').Verdict[]} verdicts
 * @property {Record<string, string>} [facts] what of the machine matters to this benchmark only
 * @property {string} [notRun] why it could not be run
 */

/**
 * Where figures come from.
 * @param {import('./database.js').Database} database
 * @param {string | undefined} psql
 */
export function machine(database, psql) {
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    cores: `${availableParallelism()} (${cpus()[0]?.model.trim() ?? 'unknown'})`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GB`,
    system: `${platform()} ${arch()}`,
    node: process.versions.node,
    postgresql: `${database.version}, ${database.description}`,
    psql: psql ?? 'not found: nothing was compared with it',
    pg: version('../node_modules/pg/package.json'),
    sluice: version('../package.json'),
  };
}

/** @param {string} file @returns {string} */
function version(file) {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')).version;
}
