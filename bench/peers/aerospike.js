// @ts-check
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../timed.js';

/** The official Node.js client; see the file. */
export const nodePeer = fileURLToPath(new URL('aerospike-node.js', import.meta.url));

export const nodeVersion = String(
  JSON.parse(readFileSync(new URL('../../node_modules/aerospike/package.json', import.meta.url), 'utf8')).version,
);

const source = fileURLToPath(new URL('aerospike-go/', import.meta.url));

/**
 * Builds the program of the Go client in `folder`; where that is not to be had, `version` says why.
 * @param {string} folder
 * @returns {Promise<{ program?: string, version: string }>}
 */
export async function goPeer(folder) {
  const program = join(folder, 'aerospike-go');
  try {
    const { output } = await run('go', ['version']);
    await run('go', ['build', '-o', program, '.'], { cwd: source });
    const client = /client-go\/\S+ (v\S+)/.exec(readFileSync(join(source, 'go.mod'), 'utf8'))?.[1];
    return { program, version: `${client}, ${/go\d\S*/.exec(output)?.[0]}` };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const missing = 'code' in error && error.code === 'ENOENT';
    return { version: `not measured: ${missing ? 'there is no Go here' : error.message}` };
  }
}
