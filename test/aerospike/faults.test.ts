import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, test } from 'vitest';
import type { Report, Row } from '../../src/contract/index.js';
import { type LoadError, load } from '../../src/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { type AerospikeCluster, startAerospike } from '../servers/aerospike/cluster.js';
import { info } from '../servers/aerospike/info.js';
import { type Moment, PacedRecords } from './paced.js';
import { compareAll, nothingLost } from './read-back.js';
import { type ScratchSet, scratchSet, sinkOn } from './scratch-set.js';

const program = inject('aerospikeProgram');
const minutes = 60_000;

function binsOf(id: number): Row {
  return { name: `n${id}`, tags: [`a${id % 7}`, `b${id % 11}`, 'regular'] };
}

function recordOf(id: number): Row {
  return { id, ...binsOf(id) };
}

interface Loaded {
  readonly report: Report;
  /** Longest time in ms without a record settled. */
  readonly longestPause: number;
}

/** Loads `count` records at `perSecond`, or more until all `moments` are over. */
async function loadDuring(scratch: ScratchSet, count: number, perSecond: number, moments: Moment[]): Promise<Loaded> {
  const records = new PacedRecords(count, perSecond, recordOf, moments);
  let settled = 0;
  let since = performance.now();
  let longestPause = 0;
  const report = await load({
    source: iterable(records),
    sink: sinkOn(scratch),
    onProgress(snapshot) {
      const now = performance.now();
      longestPause = Math.max(longestPause, now - since);
      if (snapshot.settled === settled) return;
      settled = snapshot.settled;
      since = now;
    },
  });
  await records.over();
  return { report, longestPause };
}

/** A load that met a fault is whole, and every record is there. Says what it cost. */
async function expectWhole(
  what: string,
  cluster: AerospikeCluster,
  scratch: ScratchSet,
  { report, longestPause }: Loaded,
  from = 0,
) {
  expect(report).toMatchObject({ status: 'complete', written: report.read, rejected: 0 });
  await cluster.settled();
  const loss = await compareAll(scratch, [from, report.read], binsOf);
  console.log(
    `${what}: ${report.read} records in ${report.seconds.toFixed(1)} s, ${report.retries} retries, longest pause ${(longestPause / 1_000).toFixed(1)} s, ${loss.compared} compared, ${loss.missing} missing, ${loss.different} different`,
  );
  expect(loss).toEqual(nothingLost(report.read - from));
}

/** The code and class of what a load ended with. */
async function failureOf(loading: Promise<Report>): Promise<LoadError> {
  return await loading.then(
    () => {
      throw new Error('the load did not fail');
    },
    (error: LoadError) => error,
  );
}

describe.runIf(program !== '')('one Aerospike server', { timeout: 3 * minutes }, () => {
  test('that stands still for 20 s in the middle of a load loses nothing', async () => {
    await using cluster = await startAerospike(program, { nodes: 1 });
    await using scratch = await scratchSet(cluster.hosts);
    const [node] = cluster.nodes;
    const stall = {
      after: 50_000,
      async act() {
        node!.stall();
        await sleep(20_000);
        node!.resume();
      },
    };
    const loaded = await loadDuring(scratch, 150_000, 50_000, [stall]);
    expect(loaded.longestPause).toBeGreaterThan(15_000);
    await expectWhole('20 s of SIGSTOP, one server', cluster, scratch, loaded);
  });

  test('that is stopped and started again, its data on a file, loses nothing', async () => {
    await using cluster = await startAerospike(program, { nodes: 1 });
    await using scratch = await scratchSet(cluster.hosts, 'device');
    const [node] = cluster.nodes;
    const restart = {
      after: 50_000,
      async act() {
        await node!.leave();
        await sleep(2_000);
        await node!.start();
      },
    };
    const loaded = await loadDuring(scratch, 150_000, 30_000, [restart]);
    await expectWhole('stopped and started, one server with a file', cluster, scratch, loaded);
  });

  test('that is killed and comes back empty has every record that was written after that', async () => {
    await using cluster = await startAerospike(program, { nodes: 1 });
    await using scratch = await scratchSet(cluster.hosts);
    const [node] = cluster.nodes;
    const kill = {
      after: 50_000,
      async act() {
        await node!.kill();
        await node!.start();
      },
    };
    const loaded = await loadDuring(scratch, 150_000, 30_000, [kill]);
    // What it had acknowledged before was in its memory only. Up to where the source was, all of it is written anew or gone.
    await expectWhole('kill -9 and a start, one server in memory', cluster, scratch, loaded, 75_000);
  });

  test('whose device can not keep up with large values gets them all, in its own time', async () => {
    await using cluster = await startAerospike(program, { nodes: 1 });
    await using scratch = await scratchSet(cluster.hosts, 'device');
    const value = (id: number) => Buffer.alloc(200_000, id % 251);
    const records = Array.from({ length: 6_000 }, (_, id) => id);
    const rows = function* () {
      for (const id of records) yield { id, value: value(id) };
    };
    const report = await load({ source: iterable(rows()), sink: sinkOn(scratch) });
    expect(report).toMatchObject({ status: 'complete', written: 6_000, rejected: 0 });
    const overloads = await writesRefused(cluster.hosts[0]!);
    console.log(
      `device overload: 1.2 GB in ${report.seconds.toFixed(1)} s, ${report.retries} retries, ${overloads} writes refused`,
    );
    expect(overloads).toBeGreaterThan(0);
    for (let first = 0; first < 6_000; first += 200) {
      const keys = records.slice(first, first + 200);
      const found = await scratch.official.read(scratch.namespace, scratch.set, keys);
      expect(keys.filter((id, i) => Buffer.compare(bytesOf(found[i]?.bins.value), value(id)) !== 0)).toEqual([]);
    }
  });

  test('that stops taking writes for a while delays the load, and one that goes on refusing ends it', async () => {
    await using cluster = await startAerospike(program, { nodes: 1 });
    const [host] = cluster.hosts;
    const limit = (percent: number) =>
      info(host!, `set-config:context=namespace;id=test;stop-writes-sys-memory-pct=${percent}`);
    await using scratch = await scratchSet(cluster.hosts);
    const full = {
      after: 1_000,
      async act() {
        await limit(1);
        await sleep(20_000);
        await limit(95);
      },
    };
    // The server looks every 10 s.
    const loaded = await loadDuring(scratch, 60_000, 2_000, [full]);
    expect(loaded.report.retries).toBeGreaterThan(0);
    await expectWhole('stop-writes for 10 to 20 s', cluster, scratch, loaded);

    await limit(1);
    await sleep(11_000);
    const failure = await failureOf(load({ source: iterable([recordOf(1)]), sink: sinkOn(scratch) }));
    console.log(`stop-writes that lasts: ${failure.code}: ${failure.message}`);
    expect(failure.report).toMatchObject({ status: 'failed', written: 0 });
  });
});

describe.runIf(program !== '')('three Aerospike servers, two copies of each record', { timeout: 3 * minutes }, () => {
  const three = { nodes: 3, replication: 2 };

  test('lose nothing when one of them is killed and stays away', async () => {
    await using cluster = await startAerospike(program, three);
    await using scratch = await scratchSet(cluster.hosts);
    const rest = cluster.nodes.slice(0, 2);
    const kill = { after: 60_000, act: () => cluster.nodes[2]!.kill() };
    const loaded = await loadDuring(scratch, 240_000, 20_000, [kill]);
    await expectWhole('kill -9 of one of three', { ...cluster, settled: () => cluster.settled(rest) }, scratch, loaded);
  });

  test('lose nothing when one of them is killed and comes back empty', async () => {
    await using cluster = await startAerospike(program, three);
    await using scratch = await scratchSet(cluster.hosts);
    const restart = {
      after: 60_000,
      async act() {
        await cluster.nodes[1]!.kill();
        await sleep(3_000);
        await cluster.nodes[1]!.start();
      },
    };
    const loaded = await loadDuring(scratch, 240_000, 20_000, [restart]);
    await expectWhole('kill -9 and a start of one of three', cluster, scratch, loaded);
  });

  test('lose nothing when one of them stands still for 20 s', async () => {
    await using cluster = await startAerospike(program, three);
    await using scratch = await scratchSet(cluster.hosts);
    const stall = {
      after: 60_000,
      async act() {
        cluster.nodes[0]!.stall();
        await sleep(20_000);
        cluster.nodes[0]!.resume();
      },
    };
    const loaded = await loadDuring(scratch, 600_000, 20_000, [stall]);
    await expectWhole('20 s of SIGSTOP, one of three', cluster, scratch, loaded);
  });

  test('lose nothing when one joins and another leaves under load', async () => {
    await using cluster = await startAerospike(program, { ...three, started: 2 });
    await using scratch = await scratchSet(cluster.hosts.slice(0, 2));
    const join = { after: 60_000, act: () => cluster.nodes[2]!.start() };
    const leave = {
      after: 240_000,
      async act() {
        await cluster.settled();
        await cluster.nodes[0]!.leave();
      },
    };
    const loaded = await loadDuring(scratch, 480_000, 20_000, [join, leave]);
    await using afterwards = await scratchSet(cluster.hosts.slice(1));
    const rest = cluster.nodes.slice(1);
    await expectWhole(
      'a node joins, another leaves',
      { ...cluster, settled: () => cluster.settled(rest) },
      { ...afterwards, set: scratch.set },
      loaded,
    );
  });

  test('lose nothing when one after the other is stopped and started again', { timeout: 6 * minutes }, async () => {
    await using cluster = await startAerospike(program, three);
    await using scratch = await scratchSet(cluster.hosts);
    const restarts = cluster.nodes.map((node, i) => ({
      after: 40_000 * (i + 1),
      async act() {
        await node.leave();
        await sleep(1_000);
        await node.start();
        // Its data lies in memory: the next may go when it has its share again.
        await cluster.settled();
      },
    }));
    const loaded = await loadDuring(scratch, 160_000, 10_000, restarts);
    await expectWhole('each of three stopped and started in turn', cluster, scratch, loaded);
  });

  test('keep the last of many writes of each key while one of them stands still', async () => {
    await using cluster = await startAerospike(program, three);
    await using scratch = await scratchSet(cluster.hosts);
    const keys = 2_000;
    const stall = {
      after: 60_000,
      async act() {
        cluster.nodes[1]!.stall();
        await sleep(12_000);
        cluster.nodes[1]!.resume();
        await cluster.settled();
      },
    };
    const records = new PacedRecords(200_000, 20_000, (turn) => ({ id: turn % keys, turn }), [stall]);
    const report = await load({ source: iterable(records), sink: sinkOn(scratch) });
    await records.over();
    await cluster.settled();
    expect(report).toMatchObject({ status: 'complete', rejected: 0 });
    const lastTurn = (id: number) => report.read - 1 - ((report.read - 1 - id) % keys);
    const loss = await compareAll(scratch, [0, keys], (id) => ({ turn: lastTurn(id) }));
    console.log(
      `12 s of SIGSTOP, ${keys} keys written ${Math.round(report.read / keys)} times each: ${report.retries} retries, ${loss.different} with an older value`,
    );
    expect(loss).toEqual(nothingLost(keys));
  });

  test('take many writes of a few hot keys, and the last of each stands in the end', async () => {
    await using cluster = await startAerospike(program, three);
    await using scratch = await scratchSet(cluster.hosts);
    const count = 200_000;
    const hot = 10;
    const rows = function* () {
      for (let i = 0; i < count; i++) yield { id: i % 3 === 0 ? i % hot : i, turn: i };
    };
    const report = await load({ source: iterable(rows()), sink: sinkOn(scratch) });
    expect(report.status).toBe('complete');
    expect(report.written + report.duplicate).toBe(count);
    console.log(
      `hot keys: ${count} records in ${report.seconds.toFixed(1)} s, ${report.duplicate} of them given again, ${report.retries} retries`,
    );
    const last = new Map<number, number>();
    for (const { id, turn } of rows()) last.set(id, turn);
    const keys = [...last.keys()];
    const found = await scratch.official.read(scratch.namespace, scratch.set, keys);
    expect(keys.filter((id, i) => found[i]?.bins.turn !== last.get(id))).toEqual([]);
  });
});

function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array();
}

/** Writes that the file's namespace has answered with an error. */
async function writesRefused(host: string): Promise<number> {
  const text = await info(host, 'namespace/device');
  const figure = (name: string) => Number(new RegExp(`(?:^|;)${name}=(\\d+)`).exec(text)?.[1] ?? 0);
  return figure('client_write_error') + figure('batch_sub_write_error');
}
