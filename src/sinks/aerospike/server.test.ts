import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, inject, test } from 'vitest';
import { type ScratchSet, scratchSet, sinkOn } from '../../../test/aerospike/scratch-set.js';
import type { Report, Row } from '../../contract/index.js';
import { type LoadError, load } from '../../index.js';
import { iterable } from '../../sources/iterable/index.js';
import type { AerospikeOptions } from './index.js';

const hosts = inject('aerospikeHosts');

/** Loads records, and gives the report whatever became of it. */
async function loaded(
  scratch: ScratchSet,
  rows: readonly Row[],
  options: Partial<AerospikeOptions> = {},
): Promise<Report> {
  return await load({ source: iterable(rows), sink: sinkOn(scratch, options), maxErrors: 1_000 }).catch(
    ({ report }: LoadError) => report,
  );
}

async function binsOf(scratch: ScratchSet, keys: readonly (number | string)[]): Promise<(Row | null)[]> {
  const found = await scratch.official.read(scratch.namespace, scratch.set, keys);
  return found.map((record) => record?.bins ?? null);
}

describe.runIf(hosts.length > 0)('on a real server', () => {
  test('update changes the bins it is given, makes new records, and removes a bin by null', async () => {
    await using scratch = await scratchSet(hosts);
    await loaded(scratch, [
      { id: 1, a: 1, b: 1 },
      { id: 2, a: 1, b: 1 },
    ]);
    const report = await loaded(scratch, [
      { id: 1, a: 2 },
      { id: 2, a: null },
      { id: 3, a: 3 },
    ]);
    expect(report).toMatchObject({ status: 'complete', written: 3 });
    expect(await binsOf(scratch, [1, 2, 3])).toEqual([{ a: 2, b: 1 }, { b: 1 }, { a: 3 }]);
  });

  test('a record of nothing but null is removed, and one that was not there is no reject', async () => {
    await using scratch = await scratchSet(hosts);
    await loaded(scratch, [{ id: 1, a: 1 }]);
    const report = await loaded(scratch, [
      { id: 1, a: null },
      { id: 2, a: null },
      { id: 3, a: 1 },
    ]);
    expect(report).toMatchObject({ status: 'complete', rejected: 0 });
    expect(await binsOf(scratch, [1, 2, 3])).toEqual([null, null, { a: 1 }]);
  });

  test('replace puts the record wholly in the place of what was there', async () => {
    await using scratch = await scratchSet(hosts);
    await loaded(scratch, [{ id: 1, a: 1, b: 1 }]);
    const report = await loaded(
      scratch,
      [
        { id: 1, a: 2, c: null },
        { id: 2, a: 2 },
      ],
      { mode: 'replace' },
    );
    expect(report).toMatchObject({ status: 'complete', written: 2 });
    expect(await binsOf(scratch, [1, 2])).toEqual([{ a: 2 }, { a: 2 }]);
  });

  test('create-only rejects what is there, update-only what is not', async () => {
    await using scratch = await scratchSet(hosts);
    await loaded(scratch, [{ id: 1, a: 1 }]);
    const rows = [
      { id: 1, a: 2 },
      { id: 2, a: 2 },
    ];
    expect(await loaded(scratch, rows, { mode: 'create-only' })).toMatchObject({ written: 1, rejected: 1 });
    expect(await binsOf(scratch, [1, 2])).toEqual([{ a: 1 }, { a: 2 }]);
    const more = [
      { id: 1, a: 3 },
      { id: 3, a: 3 },
    ];
    expect(await loaded(scratch, more, { mode: 'update-only' })).toMatchObject({ written: 1, rejected: 1 });
    expect(await binsOf(scratch, [1, 2, 3])).toEqual([{ a: 3 }, { a: 2 }, null]);
  });

  test('records that say the same, one behind another, are all written', async () => {
    await using scratch = await scratchSet(hosts);
    const rows = Array.from({ length: 3_000 }, (_, id) => ({ id, tags: ['regular', `t${Math.floor(id / 7)}`] }));
    expect(await loaded(scratch, rows)).toMatchObject({ status: 'complete', written: 3_000 });
    const keys = rows.map(({ id }) => id);
    expect(await binsOf(scratch, keys)).toEqual(rows.map(({ tags }) => ({ tags })));
  });

  test('TTL and generation are kept, and a generation that differs is a reject', async () => {
    await using scratch = await scratchSet(hosts);
    await loaded(
      scratch,
      [
        { id: 1, a: 1 },
        { id: 2, a: 1 },
      ],
      { ttl: 3_600 },
    );
    const [first] = await scratch.official.read(scratch.namespace, scratch.set, [1]);
    expect(first?.ttl).toBeGreaterThan(3_500);
    expect(first?.ttl).toBeLessThanOrEqual(3_600);
    expect(first?.generation).toBe(1);
    const rows = [
      { id: 1, a: 2, gen: 1 },
      { id: 2, a: 2, gen: 7 },
    ];
    const report = await loaded(scratch, rows, { generation: 'gen', ttl: 'keep' });
    expect(report).toMatchObject({ written: 1, rejected: 1 });
    expect(await binsOf(scratch, [1, 2])).toEqual([{ a: 2 }, { a: 1 }]);
    const newer = [
      { id: 1, a: 3, gen: 1 },
      { id: 2, a: 3, gen: 7 },
    ];
    await loaded(scratch, newer, { generation: 'gen', generationCheck: 'newer', ttl: 'never' });
    expect(await binsOf(scratch, [1, 2])).toEqual([{ a: 2 }, { a: 3 }]);
  });

  test('the key itself is stored where that is wanted', async () => {
    await using scratch = await scratchSet(hosts);
    await loaded(scratch, [{ id: 'with', a: 1 }], { sendKey: true });
    await loaded(scratch, [{ id: 'without', a: 1 }]);
    const keys = (await scratch.official.scan(scratch.namespace, scratch.set)).map(({ key }) => key);
    expect(keys.sort()).toEqual(['with', null].sort());
  });

  test('a record over the limit of the namespace costs itself only', async () => {
    await using scratch = await scratchSet(hosts);
    const report = await loaded(scratch, [
      { id: 1, a: 'x' },
      { id: 2, a: 'x'.repeat(2_000_000) },
      { id: 3, a: 'x' },
    ]);
    expect(report).toMatchObject({ status: 'complete-with-rejects', written: 2, rejected: 1 });
    expect(await binsOf(scratch, [1, 2, 3])).toEqual([{ a: 'x' }, null, { a: 'x' }]);
  });

  test('durable deletes are of the Enterprise Edition: the Community Edition is told apart from a bad record', async () => {
    await using scratch = await scratchSet(hosts);
    await loaded(scratch, [{ id: 1, a: 1 }]);
    const report = await loaded(scratch, [{ id: 1, a: null }], { durableDelete: true });
    expect(['complete', 'failed']).toContain(report.status);
    if (report.status === 'failed') expect(report.error?.code).toMatch(/enterprise-only|forbidden|unsupported/);
  });

  test('a namespace that is none is named', async () => {
    await using scratch = await scratchSet(hosts);
    const report = await loaded({ ...scratch, namespace: 'nope' }, [{ id: 1, a: 1 }]);
    expect(report).toMatchObject({ status: 'failed', error: { code: 'no-such-namespace' } });
  });

  test('a server whose features know no batches of writes gets the same records one by one', async () => {
    await using scratch = await scratchSet(hosts.slice(0, 1));
    const [host = '', port = ''] = hosts[0]!.split(':');
    const proxy = createServer((socket) => {
      const server = connect(Number(port), host);
      socket.pipe(server);
      server.on('data', (chunk) =>
        socket.write(Buffer.from(chunk.toString('latin1').replace('batch-any', 'batch-xxx'), 'latin1')),
      );
      for (const end of [socket, server])
        end.on('error', () => {}).on('close', () => [socket, server].map((one) => one.destroy()));
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const through = { ...scratch, hosts: [`127.0.0.1:${(proxy.address() as AddressInfo).port}`] };
    const rows = Array.from({ length: 2_500 }, (_, id) => ({ id, a: `v${id}` }));
    rows[70] = { id: 70, a: 'x'.repeat(1_500_000) };
    const report = await loaded(through, rows);
    expect(report).toMatchObject({ written: 2_499, rejected: 1 });
    const read = await binsOf(
      scratch,
      rows.map(({ id }) => id),
    );
    expect(read).toEqual(rows.map(({ a }, id) => (id === 70 ? null : { a })));
    await new Promise((resolve) => proxy.close(resolve));
  });
});
