// @ts-check
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { peakMemory, run } from './timed.js';

export const command = fileURLToPath(new URL('../dist/hosts/cli/main.js', import.meta.url));

/**
 * Runs `sluice` with `--json` in a process of its own. `seconds` is the whole process, `load` the load as its report has it, both in
 * seconds; `peak` its peak RSS in MB.
 * @param {string} folder where its run folder goes
 * @param {readonly string[]} args
 * @param {{ codes?: readonly number[] }} [options] exit codes that are no failure
 */
export async function sluice(folder, args, options) {
  const runDir = join(folder, 'run');
  const ended = await run(
    process.execPath,
    ['--import', peakMemory, command, ...args, '--json', '--quiet', '--run-dir', runDir],
    { cwd: folder, ...options },
  );
  /** @type {{ seconds: number, read: number, written: number, unchanged: number, rejected: number, batches: number }} */
  const report = JSON.parse(ended.output.trim().split('\n').at(-1) ?? '');
  return { seconds: ended.seconds, load: report.seconds, peak: ended.peak ?? Number.NaN, report };
}

/**
 * The figures of such a run alone.
 * @param {string} folder
 * @param {readonly string[]} args
 */
export async function timedSluice(folder, args) {
  const { seconds, load, peak } = await sluice(folder, args);
  return { seconds, load, peak };
}
