// @ts-check
import { fileURLToPath } from 'node:url';
import { run } from './timed.js';

/** Sluice as a library; see the file. */
export const objectLoader = fileURLToPath(new URL('load-objects.js', import.meta.url));
/** One INSERT a record; see the file. */
export const oneInsert = fileURLToPath(new URL('peers/one-insert.js', import.meta.url));

/**
 * Runs one of these in a process of its own, so that none inherits another's heap. It prints its own seconds.
 * @param {string} script
 * @param {readonly string[]} args
 */
export async function timedScript(script, args) {
  const { output } = await run(process.execPath, [script, ...args]);
  /** @type {{ seconds: number }} */
  const { seconds } = JSON.parse(output);
  return { seconds };
}
