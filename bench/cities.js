// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';

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

/** @typedef {'page' | 'offset'} Style how the API's pages are told apart: by _page, or by _start */

const pageSize = 100;
/** Requests in flight. */
const parallel = 8;

/**
 * Arguments that load the API by pages into a table, upsert by key.
 * @param {string} api
 * @param {string} database
 * @param {string} table
 * @param {Style} [style]
 */
export function loadCities(api, database, table, style = 'page') {
  return [
    ...['load', api, database, '--table', table, '--create', '--mode', 'upsert', '--key', 'id'],
    ...['--pagination', style, '--page-param', style === 'page' ? '_page' : '_start'],
    ...['--size-param', '_limit', '--page-size', String(pageSize), '--parallel', String(parallel)],
    ...['--total-header', 'X-Total-Count'],
    ...['--columns', 'id=cityId,name,country,population,lon=loc.coordinates[0],lat=loc.coordinates[1]'],
  ];
}

/**
 * Seconds that all pages take, as many at once, when nothing is done with them.
 * @param {string} api
 * @param {Style} [style]
 */
export async function readCities(api, style = 'page') {
  const dispatcher = new Agent({ connections: parallel });
  // As Sluice asks.
  const headers = { 'accept-encoding': 'gzip' };
  let next = 0;
  const start = performance.now();
  const read = async () => {
    while (next < cities / pageSize) {
      const page = next++;
      const which = style === 'page' ? `_page=${page + 1}` : `_start=${page * pageSize}`;
      const { body } = await request(`${api}?${which}&_limit=${pageSize}`, { dispatcher, headers });
      await body.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: parallel }, read));
  const seconds = (performance.now() - start) / 1000;
  await dispatcher.close();
  return seconds;
}
