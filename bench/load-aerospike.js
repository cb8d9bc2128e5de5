// @ts-check
/**
 * Writes the records with Sluice as a library: `node load-aerospike.js <load|sink> <hosts> <namespace> <set> <n>`. `load` is a whole
 * load of an iterable; `sink` hands the sink batches of 1,000, 4 in flight, a hundred batches at a time, the making of which does
 * not count. Prints the seconds and the CPU seconds in that time; connecting, planning and closing belong to a load and not to
 * `sink`.
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
/** Batches made before they are written. */
const together = 100;
const sink = aerospike({ url: `aerospike://${hosts}/${namespace}/${set}`, key: 'id', bins: ['categories'] });
const { signal } = new AbortController();
const context = { run: 'bench', job: 'bench', epoch: 1, signal, log: { debug() {}, info() {}, warn() {} } };

const taken = { seconds: 0, cpu: 0 };

if (way === 'load') {
  await timed(async () => {
    const { written } = await load({ source: iterable(records(rows)), sink });
    if (written !== rows) throw new Error(`${written} of ${rows} records were written`);
  });
} else {
  await sink.plan({ columns, sample: [], textual: false, ignoreExtra: false }, context);
  await sink.open(context);
  const all = batches(records(rows));
  for (let some = take(all); some.length > 0; some = take(all)) {
    const left = some;
    await timed(() => Promise.all(Array.from({ length: inFlight }, () => writeAll(left))));
  }
  await sink[Symbol.asyncDispose]();
}
console.log(JSON.stringify(taken));

/** @param {() => Promise<unknown>} work */
async function timed(work) {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  taken.seconds += (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  taken.cpu += (user + system) / 1e6;
}

/** @param {Iterator<SlicedBatch>} all */
function take(all) {
  const some = [];
  for (let next = all.next(); !next.done; next = all.next()) {
    some.push(next.value);
    if (some.length === together) break;
  }
  return some;
}

/** @param {Iterable<import('../dist/index.js').Row>} all @returns {Generator<SlicedBatch, void>} */
function* batches(all) {
  const mapper = compileMapper(undefined, columns, false);
  let from = 0;
  /** @type {import('../dist/index.js').Row[]} */
  let part = [];
  const batch = () => {
    const { length } = part;
    const span = { split: 's', from, rows: length, next: { row: from + length, token: null } };
    const chunk = /** @type {const} */ ({ kind: 'records', span, bytes: length * 60, records: part });
    return new SlicedBatch([{ chunk, first: 0, last: length, start: { row: from, token: null } }], mapper);
  };
  for (const record of all) {
    part.push(record);
    if (part.length < batchRows) continue;
    yield batch();
    from += part.length;
    part = [];
  }
  if (part.length > 0) yield batch();
}

/** @param {SlicedBatch[]} left */
async function writeAll(left) {
  for (let batch = left.pop(); batch; batch = left.pop()) {
    const { written } = await sink.write(batch, context);
    if (written !== batch.rows) throw new Error(`${written} of ${batch.rows} records of a batch were written`);
  }
}
