// @ts-check
import { spawn } from 'node:child_process';

/** Preloaded into Node children: tells on file descriptor 3 how much memory they held at most. */
export const peakMemory = new URL('peak-memory.js', import.meta.url).href;

/**
 * What a child process left behind. `seconds` go from before its start to its end; `peak` is its peak RSS in MB, of Node
 * children with `peakMemory` preloaded.
 * @typedef {{ seconds: number, code: number | null, output: string, errors: string, peak: number | undefined }} Ended
 */

/**
 * Runs a program to its end.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, codes?: readonly number[] }} [options] `codes`: exit codes that are no failure; default only 0
 * @returns {Promise<Ended>}
 */
export async function run(program, args, { cwd, codes = [0] } = {}) {
  const startedAt = performance.now();
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const [code, output, errors, peak] = await Promise.all([
    new Promise((resolve, reject) => child.once('error', reject).once('exit', resolve)),
    textOf(child.stdout),
    textOf(child.stderr),
    textOf(child.stdio[3]),
  ]);
  const seconds = (performance.now() - startedAt) / 1000;
  if (!codes.includes(code)) {
    throw new Error(`${program} ${args[0] ?? ''} ended with ${code}: ${(errors || output).trim().slice(-2000)}`);
  }
  return { seconds, code, output, errors, peak: peak === '' ? undefined : Number(peak) };
}

/** @param {unknown} stream */
async function textOf(stream) {
  let text = '';
  for await (const piece of /** @type {AsyncIterable<Buffer>} */ (stream)) text += piece;
  return text;
}
