// @ts-check
/**
 * Writes the records with the official Node.js client, in the two ways a program does it: `put`, 60 in flight, or `batchWrite` of 500
 * records, 3 in flight. Run as `node aerospike-node.js <put|batch> <hosts> <namespace> <set> <n>`; prints the seconds from the first
 * record to the last answer, without connecting, and the CPU seconds in that time.
 */
import aerospike from 'aerospike';
import { categories } from '../aerospike-records.js';

const [way = '', hosts = '', namespace = '', set = '', count = '0'] = process.argv.slice(2);
const rows = Number(count);
const batchSize = 500;
const ways = { put: { inFlight: 60, write: put }, batch: { inFlight: 3, write: batch } };

const { inFlight, write } = ways[/** @type {keyof typeof ways} */ (way)];
const client = await aerospike.connect({
  hosts,
  maxConnsPerNode: 128,
  policies: { batch: new aerospike.BatchPolicy({ totalTimeout: 10_000 }) },
});
const cpuBefore = process.cpuUsage();
const startedAt = performance.now();
let next = 1;
await Promise.all(Array.from({ length: inFlight }, write));
const seconds = (performance.now() - startedAt) / 1000;
const { user, system } = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ seconds, cpu: (user + system) / 1e6 }));
client.close();

async function put() {
  while (next <= rows) {
    const id = next++;
    await client.put(new aerospike.Key(namespace, set, id), { categories: categories(id) });
  }
}

async function batch() {
  while (next <= rows) {
    const first = next;
    next = Math.min(first + batchSize, rows + 1);
    const all = Array.from({ length: next - first }, (_, i) => ({
      type: aerospike.batchType.BATCH_WRITE,
      key: new aerospike.Key(namespace, set, first + i),
      ops: [aerospike.operations.write('categories', categories(first + i))],
    }));
    for (const { status } of await client.batchWrite(all)) {
      if (status !== aerospike.status.OK) throw new Error(`a record was not written: result ${status}`);
    }
  }
}
