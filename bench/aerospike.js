// @ts-check
import { fileURLToPath } from 'node:url';
import { goPeer, nodePeer, nodeVersion } from './peers/aerospike.js';
import { atLeast, inTurn, medianOf } from './side-by-side.js';
import { peakMemory, run } from './timed.js';

export const title = 'Keyed sets into Aerospike: Sluice, the Go client, the official Node.js client';

export const method = `Records with an integer key and one bin, a list of three short strings, made while they are written. Sluice is
\`load({ source: iterable(records), sink: aerospike(...) })\` with nothing else said. The Go client writes them as a pool of 60
goroutines behind a channel of 100, one put each, and as BatchOperate of 1,000 records from 4 goroutines; the official Node.js client by
put, 60 in flight, and by batchWrite of 500 records, 3 in flight. Each is timed within a process of its own: Sluice from \`load\` to its
report, connecting and closing included, the others from the first record to the last answer. Client CPU is user and system time of
that process in that time. Each turn has a new set; every hundredth record is then read back by the official client, and in the
first round every record that Sluice wrote. "The sink alone" is Sluice's sink given batches of 1,000 that were made beforehand, 4 in
flight: what encoding, sending and reading the answers costs.`;

const namespace = 'test';
const setTask = fileURLToPath(new URL('aerospike-set.js', import.meta.url));
const loader = fileURLToPath(new URL('load-aerospike.js', import.meta.url));

/** @param {import('./bench.js').Bench} bench @returns {Promise<import('./bench.js').Outcome>} */
export async function measure({ folder, rounds, rows }) {
  const hosts = process.env.AEROSPIKE_HOSTS;
  if (!hosts) return notRun('AEROSPIKE_HOSTS, host:port of a server, is not set');
  const go = await goPeer(folder);
  let checks = 0;

  /**
   * @param {string} name
   * @param {readonly string[]} command
   * @param {number} [wholeRound] in which every record is read back
   */
  const contender = (name, [program = '', ...args], wholeRound) => ({
    name,
    prepare: async () => `bench_${process.pid}_${checks++}`,
    measure: async (/** @type {string} */ set) => {
      const { output, peak } = await run(program, [...args, hosts, namespace, set, String(rows)]);
      /** @type {{ seconds: number, cpu: number, peak?: number }} */
      const said = JSON.parse(output);
      return { seconds: said.seconds, cpu: (said.cpu * 1e6) / rows, peak: said.peak ?? peak ?? Number.NaN };
    },
    after: async (/** @type {string} */ set, /** @type {number} */ round) => {
      const every = round === wholeRound ? 1 : 100;
      const { output } = await run(process.execPath, [
        setTask,
        'check',
        hosts,
        namespace,
        set,
        String(rows),
        String(every),
      ]);
      /** @type {{ read: number, wrong: number }} */
      const { read, wrong } = JSON.parse(output);
      if (wrong > 0) throw new Error(`${name}: ${wrong} of ${read} records are missing or different`);
      await run(process.execPath, [setTask, 'clear', hosts, namespace, set]);
    },
  });
  const node = [process.execPath, '--import', peakMemory];
  const [load, alone, ...peers] = await inTurn(rounds, [
    contender('load(iterable)', [...node, loader, 'load'], 0),
    contender('the sink alone', [...node, loader, 'sink']),
    ...(go.program ? [contender('Go, 60 goroutines, one put each', [go.program, 'pool'])] : []),
    ...(go.program ? [contender('Go, BatchOperate 1,000 x 4', [go.program, 'batch'])] : []),
    contender('Node.js client, put, 60 in flight', [...node, nodePeer, 'put']),
    contender('Node.js client, batchWrite 500 x 3', [...node, nodePeer, 'batch']),
  ]);
  if (!load || !alone) throw new Error('nothing was measured');
  const peer = (/** @type {string} */ start) => peers.find(({ name }) => name.startsWith(start));
  /** @type {[string, number, string][]} */
  const targets = [
    ['Go, 60', 6, 'times the rate of the Go pool'],
    ['Go, Batch', 1.3, "times the rate of Go's batches"],
    ['Node.js client, put', 8, "times the rate of the Node.js client's put"],
  ];
  const { output } = await run(process.execPath, [setTask, 'version', hosts]);
  /** @type {{ version: string }} */
  const server = JSON.parse(output);
  return {
    sections: [{ rows, measured: [load, alone, ...peers] }],
    verdicts: [
      ...targets.flatMap(([start, least, what]) => {
        const theirs = peer(start);
        return theirs ? [atLeast(least, load, theirs, { what })] : [];
      }),
      { what: 'client CPU a record, the sink alone', value: medianOf(alone, 'cpu'), most: 1.5, unit: 'us' },
      { what: 'peak RSS of the load', value: medianOf(load, 'peak'), most: 128, unit: 'MB' },
    ],
    facts: {
      aerospike: `${server.version}, given by AEROSPIKE_HOSTS, on the same machine as its clients`,
      'aerospike, Go': go.version,
      'aerospike, Node.js': nodeVersion,
    },
  };
}

/** @param {string} why @returns {import('./bench.js').Outcome} */
function notRun(why) {
  return { notRun: why, sections: [], verdicts: [] };
}
