// @ts-check
/**
 * Looks after the set a benchmark writes, with the official client in a process of its own:
 * `node aerospike-set.js check <hosts> <namespace> <set> <n> <every>` reads every so many-th of the records 1 to n and prints how many
 * were read and how many were missing or different; `clear` empties the set and waits until the server has; `version` prints
 * the server's.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import aerospike from 'aerospike';
import { categories } from './aerospike-records.js';

const [task, hosts = '', namespace = '', set = '', count = '0', every = '1'] = process.argv.slice(2);
const together = 1_000;
const client = await aerospike.connect({
  hosts,
  policies: { batch: new aerospike.BatchPolicy({ totalTimeout: 30_000 }) },
});
try {
  if (task === 'check') console.log(JSON.stringify(await check(Number(count), Number(every))));
  else if (task === 'clear') await clear();
  else if (task === 'version') console.log(JSON.stringify({ version: await version() }));
  else throw new Error(`no task ${task}`);
} finally {
  client.close();
}

/** @param {number} rows @param {number} step */
async function check(rows, step) {
  const ids = Array.from({ length: Math.floor(rows / step) }, (_, i) => (i + 1) * step);
  let wrong = 0;
  for (let at = 0; at < ids.length; at += together) {
    const part = ids.slice(at, at + together);
    const found = await client.batchRead(
      part.map((id) => ({
        type: aerospike.batchType.BATCH_READ,
        key: new aerospike.Key(namespace, set, id),
        readAllBins: true,
      })),
    );
    for (const [i, { record }] of found.entries()) {
      if (!isDeepStrictEqual(record.bins?.categories, categories(part[i] ?? 0))) wrong++;
    }
  }
  return { read: ids.length, wrong };
}

async function clear() {
  await client.truncate(namespace, set, 0);
  for (let i = 0; i < 600; i++) {
    const answers = await client.infoAll(`sets/${namespace}/${set}`);
    if (answers.every(({ info }) => !/objects=[1-9]/.test(String(info)))) return;
    await sleep(100);
  }
  throw new Error(`the server did not empty ${namespace}.${set} within a minute`);
}

async function version() {
  const answers = await client.infoAll('build');
  const builds = answers.map(({ info }) => String(info).split('\t').at(-1)?.trim());
  return `${builds[0]}, ${builds.length === 1 ? 'one node' : `${builds.length} nodes`}`;
}
