// @ts-check
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { request } from 'undici';
import { lambdaClient } from '../scripts/lambda-client.js';
import { cities, readCities, startCities } from './cities.js';
import { median, medianOf } from './side-by-side.js';

export const title = 'The function in AWS Lambda: story 1 in 128 MB, and a million records by invocations of 5 s';

export const method = `The bundle of \`npm run build:lambda\`, run by AWS's own Runtime Interface Client (aws-lambda-ric) over a Runtime API of our own that kills
it at its limit. Story 1 is the job of examples/lambda: 10,000 cities in pages of 100, eight at once, each round in a fresh
sandbox and into a table that is not there; then again, unchanged. The API is that of \`sluice demo\` (json-server), and again the very same pages answered from
memory, to tell our time from the API's; "API alone" asks for all pages, eight at once, and does nothing with them. An
invocation is timed from when the function is handed the event to its answer: its start does not count, as in Lambda.
The million records come in pages of 1,000 that take 32 ms each, eight at once, mode append, into a table without a key.`;

const mebibyte = 1024 * 1024;
const bundle = fileURLToPath(new URL('../dist-lambda/function/index.mjs', import.meta.url));
const definition = new URL('../examples/lambda/long-load.asl.json', import.meta.url);

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ database, folder, rounds, rows }) {
  process.env.SLUICE_LAMBDA_CLIENT = lambdaClient();
  execFileSync(process.execPath, ['scripts/build-lambda.js'], { cwd: new URL('..', import.meta.url), stdio: 'ignore' });
  const { startSandbox, memorySize, startRowsApi, execute } = await sandboxes();
  /** @type {Record<string, string>} */
  const facts = {};
  /** @param {string} job @param {Record<string, string>} env */
  const sandboxFor = async (job, env) => {
    const root = join(folder, 'function');
    await mkdir(join(root, 'jobs'), { recursive: true });
    await writeFile(join(root, 'jobs', 'load.yaml'), job);
    const sandbox = await startSandbox({ LAMBDA_TASK_ROOT: root, ...env }, bundle);
    facts['held to its memory'] = sandbox.group
      ? `${sandbox.group.kind} of ${memorySize} MiB, and measured (VmHWM)`
      : 'by nothing here: measured only (VmHWM)';
    return sandbox;
  };

  const job = await readFile(new URL('../examples/lambda/cities.yaml', import.meta.url), 'utf8');
  const { hostname, port, username, password, pathname } = new URL(database.url);
  const env = { PGHOST: hostname, PGPORT: port, PGUSER: username, PGPASSWORD: password, PGDATABASE: pathname.slice(1) };
  const api = await startCities();
  const still = await fromMemory(api.url);
  /** @type {(name: string) => import('./side-by-side.js').Measured} */
  const begin = (name) => ({ name, measurements: [] });
  const story = {
    first: begin('first invocation'),
    second: begin('second, unchanged'),
    alone: begin('the API alone'),
    stillFirst: begin('first invocation, API from memory'),
    stillSecond: begin('second, unchanged, API from memory'),
    stillAlone: begin('the API from memory alone'),
  };
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [url, first, second, alone] of [
        /** @type {const} */ ([api.url, story.first, story.second, story.alone]),
        /** @type {const} */ ([still.url, story.stillFirst, story.stillSecond, story.stillAlone]),
      ]) {
        const TABLE = `${database.schema}.cities_${round}`;
        const sandbox = await sandboxFor(job, { ...env, TABLE, CITIES_URL: url });
        try {
          for (const [one, written] of /** @type {const} */ ([
            [first, cities],
            [second, 0],
          ])) {
            const invoked = await sandbox.invoke({});
            const value = invoked.kind === 'answer' ? Object(invoked.value) : {};
            if (invoked.kind !== 'answer' || value.report?.read !== cities || value.report?.written !== written)
              throw new Error(`the refresh did not go as it should: ${JSON.stringify(invoked)}`);
            one.measurements.push({ seconds: invoked.milliseconds / 1000, peak: sandbox.peak() / mebibyte });
          }
        } finally {
          await sandbox[Symbol.asyncDispose]();
        }
        await database.expectRows(TABLE, cities);
        await database.drop(TABLE);
        alone.measurements.push({ seconds: await readCities(url) });
        process.stdout.write('.');
      }
    }
  } finally {
    await api[Symbol.asyncDispose]();
    await still[Symbol.asyncDispose]();
  }

  const table = `${database.schema}.million`;
  const delay = Math.ceil((4_000 * 8 * 1_000) / rows);
  const rowsApi = await startRowsApi(rows, delay);
  const million = { whole: begin('no invocation killed by us'), killed: begin('every third killed at random') };
  const counts = { atLimit: 0, invocations: '' };
  try {
    for (const [one, every] of /** @type {const} */ ([
      [million.whole, 0],
      [million.killed, 3],
    ])) {
      await database.client.query(
        `CREATE TABLE ${table} (id int NOT NULL, name text NOT NULL, amount numeric NOT NULL)`,
      );
      const sandbox = await sandboxFor(millionJob(rowsApi.url, database.url, table), {});
      const start = performance.now();
      let invocations = 0;
      let killed = 0;
      await execute(await readFile(definition, 'utf8'), `bench-${every}-${Date.now()}`, {}, async (payload) => {
        const strike = every > 0 && invocations++ % every === 1;
        const invoked = await sandbox.invoke(payload, {
          limit: 5_000,
          ...(strike && { killAfter: 300 + Math.random() * 3_000 }),
        });
        if (invoked.kind === 'killed') killed++;
        if (invoked.kind === 'killed' && invoked.atLimit) counts.atLimit++;
        if (every === 0) invocations++;
        return invoked;
      });
      one.measurements.push({ seconds: (performance.now() - start) / 1000, peak: sandbox.peak() / mebibyte });
      counts.invocations += `${one.name}: ${invocations} invocations, ${killed} of them killed. `;
      await sandbox[Symbol.asyncDispose]();
      await exact(database, table, rows);
      await database.client.query(`DROP TABLE ${table}`);
      process.stdout.write('.');
    }
  } finally {
    await rowsApi[Symbol.asyncDispose]();
  }

  const beyond = (
    /** @type {import('./side-by-side.js').Measured} */ one,
    /** @type {import('./side-by-side.js').Measured} */ alone,
  ) => `${(1000 * (medianOf(one) - medianOf(alone))).toFixed(0)} ms`;
  return {
    sections: [
      { heading: 'Story 1', rows: cities, measured: [story.first, story.second, story.alone] },
      {
        heading: 'The same pages from memory',
        rows: cities,
        measured: [story.stillFirst, story.stillSecond, story.stillAlone],
      },
      { heading: 'Through invocations of 5 s', rows, measured: [million.whole, million.killed] },
    ],
    verdicts: [
      { what: 'story 1, first invocation', value: medianOf(story.first), most: 2, unit: 's' },
      { what: 'story 1, second invocation', value: medianOf(story.second), most: 2, unit: 's' },
      {
        what: 'second beside first, by the API of the demo',
        ...share(story.first, story.second),
        most: 0.5,
        unit: 'x',
      },
      {
        what: 'second beside first, the pages from memory',
        ...share(story.stillFirst, story.stillSecond),
        most: 0.5,
        unit: 'x',
      },
      { what: 'invocations that were killed at their limit', value: counts.atLimit, most: 0 },
      { what: 'peak RSS, story 1', value: medianOf(story.second, 'peak'), most: memorySize, unit: 'MiB' },
      { what: 'peak RSS, a million records', value: medianOf(million.whole, 'peak'), most: memorySize, unit: 'MiB' },
    ],
    facts: {
      ...facts,
      invocations: counts.invocations.trim(),
      'beyond the API': `first ${beyond(story.first, story.alone)}, second ${beyond(story.second, story.alone)}; from memory: first ${beyond(story.stillFirst, story.stillAlone)}, second ${beyond(story.stillSecond, story.stillAlone)}`,
    },
  };
}

/** @param {import('./side-by-side.js').Measured} first @param {import('./side-by-side.js').Measured} second */
function share(first, second) {
  const shares = second.measurements.map(({ seconds }, i) => seconds / (first.measurements[i]?.seconds ?? Number.NaN));
  return { value: median(shares), low: Math.min(...shares), high: Math.max(...shares) };
}

/** The tests' own sandbox, Runtime API, rows API and state machine. */
async function sandboxes() {
  const outdir = fileURLToPath(new URL('.build', import.meta.url));
  const from = (/** @type {string} */ name) => fileURLToPath(new URL(`../test/lambda/${name}.ts`, import.meta.url));
  const entryPoints = ['lambda', 'rows-api', 'state-machine'].map(from);
  await build({
    entryPoints,
    outdir,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    outExtension: { '.js': '.mjs' },
  });
  const built = (/** @type {string} */ name) => pathToFileURL(join(outdir, `${name}.mjs`)).href;
  /** @type {typeof import('../test/lambda/lambda.js')} */
  const sandbox = await import(built('lambda'));
  /** @type {typeof import('../test/lambda/rows-api.js')} */
  const rowsApi = await import(built('rows-api'));
  /** @type {typeof import('../test/lambda/state-machine.js')} */
  const machine = await import(built('state-machine'));
  return { ...sandbox, ...rowsApi, ...machine };
}

/** @param {string} api @param {string} url @param {string} table */
function millionJob(api, url, table) {
  const pagination = { style: 'page', size: { param: 'size', value: 1_000 }, total: { header: 'X-Total-Count' } };
  return JSON.stringify({
    source: { http: { url: api, pagination, parallel: 8 } },
    sink: { postgres: { url, table, mode: 'append' } },
    columns: { id: 'id', name: 'name', amount: 'amount' },
  });
}

/** Every record once, each with its own values. @param {import('./database.js').Database} database @param {string} table @param {number} rows */
async function exact(database, table, rows) {
  const sums = (/** @type {string} */ from) =>
    `SELECT count(*), sum(hashtextextended(id || '|' || name || '|' || amount, 0)::numeric) FROM ${from}`;
  const source = `(SELECT id, 'record ' || id AS name, id + 0.50 AS amount FROM generate_series(1, ${rows}) id) s`;
  const { rows: found } = await database.client.query(`(${sums(table)}) EXCEPT (${sums(source)})`);
  if (found.length > 0) throw new Error(`${table} is not what the API has: ${JSON.stringify(found)}`);
}

/** The pages of an API as they are now, without its work. @param {string} url */
async function fromMemory(url) {
  /** @type {Map<string | null, { total: string, body: Buffer }>} */
  const pages = new Map();
  for (let page = 1; page <= cities / 100 + 1; page++) {
    const { headers, body } = await request(`${url}?_page=${page}&_limit=100`);
    pages.set(String(page), { total: String(headers['x-total-count']), body: Buffer.from(await body.arrayBuffer()) });
  }
  const server = createServer((asked, answer) => {
    const page = pages.get(new URL(asked.url ?? '/', 'http://localhost').searchParams.get('_page'));
    answer.writeHead(page ? 200 : 404, { 'content-type': 'application/json', 'x-total-count': page?.total ?? '0' });
    answer.end(page?.body);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(undefined)));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the API has no port');
  return {
    url: `http://127.0.0.1:${address.port}/cities`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}
