import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Runs the program beside this file to its end; rejects when it does not end by itself. */
export async function keeping(url: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, ['test/sinks/postgres/keeping.js', url], {
    timeout: 20_000,
  });
  return JSON.parse(stdout);
}
