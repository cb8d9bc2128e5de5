// @ts-check
/**
 * Writes the records with Sluice as a library: `node load-aerospike.js <load|sink> <hosts> <namespace> <set> <n>`. `load` is a whole
 * load of an iterable; `sink` hands the sink batches of 1,000 that were made beforehand, 4 in flight. Prints the seconds and the
 * CPU seconds in that time; connecting, planning and closing belong to a load and not to `sink`.
 */
import { SlicedBatch } from '../dist/flow/batch.js';
import { compileMapper } from '../dist/flow/mapping.js';
import { load } from '../dist/index.js';
import { aerospike } from '../dist/sinks/aerospike/index.js';
import { iterable } from '../dist/sources/iterable/index.js';
import { records } from './aerospike-records.js';

const [way, hosts = '', namespace = '', set = '', count = '0'] = process.argv.slice(2);
const rows = Number(count);
const columns = ['id', 'categories'];
const batchRows = 1_000;
const inFlight = 4;
const sink = aerospike({ url: `aerospike://${hosts}/${namespace}/${set}`, key: 'id', bins: ['categories'] });
const { signal } = new AbortController();
const context = { run: 'bench', job: 'bench', epoch: 1, signal, log: { debug() {}, info() {}, warn() {} } };

if (way === 'load') {
  await timed(async () => {
    const { written } = await load({ source: iterable(records(rows)), sink });
    if (written !== rows) throw new Error(`${written} of ${rows} records were written`);
  });
} else {
  await sink.plan({ columns, sample: [], textual: false, ignoreExtra: false }, context);
  await sink.open(context);
  const batches = [...batchesOf(records(rows))];
  await timed(() => Promise.all(Array.from({ length: inFlight }, () => writeNext(batches))));
  await sink[Symbol.asyncDispose]();
}

/** @param {() => Promise<unknown>} work */
async function timed(work) {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  console.log(JSON.stringify({ seconds, cpu: (user + system) / 1e6 }));
}

/** @param {Iterable<{ id: number, categories: unknown[] }>} all */
function* batchesOf(all) {
  const mapper = compileMapper(undefined, columns, false);
  const gathered = [...all];
  for (let from = 0; from < gathered.length; from += batchRows) {
    const part = gathered.slice(from, from + batchRows);
    const span = { split: 's', from, rows: part.length, next: { row: from + part.length, token: null } };
    const chunk = /** @type {const} */ ({ kind: 'records', span, bytes: part.length * 60, records: part });
    yield new SlicedBatch([{ chunk, first: 0, last: part.length, start: { row: from, token: null } }], mapper);
  }
}

/** @param {SlicedBatch[]} batches */
async function writeNext(batches) {
  for (let batch = batches.pop(); batch; batch = batches.pop()) {
    const { written } = await sink.write(batch, context);
    if (written !== batch.rows) throw new Error(`${written} of ${batch.rows} records of a batch were written`);
  }
}
