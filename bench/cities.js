// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Cities the API has. */
export const cities = 10_000;

/** Starts the cities API outside of this process. */
export async function startCities() {
  const script = fileURLToPath(new URL('cities-server.js', import.meta.url));
  const server = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(server, 'exit');
  const said = await Promise.race([once(server.stdout, 'data'), ended]);
  if (server.exitCode !== null) throw new Error(`the cities API ended with ${said[0]}`);
  return {
    url: new URL('/cities', String(said[0]).trim()).href,
    async [Symbol.asyncDispose]() {
      server.stdin.end();
      await ended;
    },
  };
}

/**
 * Arguments that load the API by pages of 100 into a table, upsert by key.
 * @param {string} api
 * @param {string} database
 * @param {string} table
 */
export function loadCities(api, database, table) {
  return [
    ...['load', api, database, '--table', table, '--create', '--mode', 'upsert', '--key', 'id'],
    ...[
      '--pagination',
      'page',
      '--page-param',
      '_page',
      '--size-param',
      '_limit',
      '--page-size',
      '100',
      '--parallel',
      '8',
    ],
    ...['--columns', 'id=cityId,name,country,population,lon=loc.coordinates[0],lat=loc.coordinates[1]'],
  ];
}
