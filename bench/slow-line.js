// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/**
 * Puts a line of some length and width in front of a database; see slow-line-server.js.
 * @param {string} url
 * @param {{ roundTrip: number, bandwidth?: number }} line milliseconds there and back; megabytes a second
 */
export async function startSlowLine(url, { roundTrip, bandwidth = 0 }) {
  const target = new URL(url);
  const script = fileURLToPath(new URL('slow-line-server.js', import.meta.url));
  const args = [target.hostname, target.port || '5432', String(roundTrip), String(bandwidth)];
  const server = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(server, 'exit');
  const said = await Promise.race([once(server.stdout, 'data'), ended]);
  if (server.exitCode !== null) throw new Error(`the slow line ended with ${said[0]}`);
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String(said[0]).trim();
  return {
    url: through.href,
    async [Symbol.asyncDispose]() {
      server.stdin.end();
      await ended;
    },
  };
}
