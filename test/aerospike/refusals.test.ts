import { describe, expect, inject, test } from 'vitest';
import type { Row } from '../../src/contract/index.js';
import { type LoadError, load } from '../../src/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { scratchSet, sinkOn } from './scratch-set.js';

const hosts = inject('aerospikeHosts');

describe.runIf(hosts.length > 0)('what a real server refuses', () => {
  test('a record over its limit is a reject, and the others of its batch are written', async () => {
    await using scratch = await scratchSet(hosts);
    const big = new Set([0, 57, 99]);
    const rows: Row[] = Array.from({ length: 100 }, (_, id) => ({ id, v: 'x'.repeat(big.has(id) ? 1_100_000 : 10) }));
    const report = await load({ source: iterable(rows), sink: sinkOn(scratch) });
    expect(report).toMatchObject({ status: 'complete-with-rejects', read: 100, written: 97, rejected: 3 });
    const found = await scratch.official.read(
      scratch.namespace,
      scratch.set,
      rows.map((_, id) => id),
    );
    expect(found.flatMap((record, id) => (record === null ? [id] : []))).toEqual([...big]);
  });

  test('a record of just under its limit is written', async () => {
    await using scratch = await scratchSet(hosts);
    const value = Buffer.alloc(1_048_000, 7);
    const report = await load({ source: iterable([{ id: 1, v: value }]), sink: sinkOn(scratch) });
    expect(report).toMatchObject({ status: 'complete', written: 1 });
    const [found] = await scratch.official.read(scratch.namespace, scratch.set, [1]);
    expect(Buffer.compare(found?.bins.v as Buffer, value)).toBe(0);
  });

  test('keys that are missing, null or of no type a key can have are rejects, and so are values without a form', async () => {
    await using scratch = await scratchSet(hosts);
    const bad: Row[] = [
      { v: 1 },
      { id: null, v: 1 },
      { id: 1.5, v: 1 },
      { id: true, v: 1 },
      { id: [1], v: 1 },
      { id: 2n ** 64n, v: 1 },
      { id: 90, v: Number.NaN },
      { id: 91, v: [Number.NaN] },
      { id: 92, v: [undefined] },
      { id: 93, v: 2n ** 64n },
      { id: 94, v: () => 1 },
      { id: 95, v: new Map([[1.5, 'double']]) },
    ];
    const good = Array.from({ length: 50 }, (_, id): Row => ({ id, v: id }));
    const report = await load({ source: iterable([...good, ...bad]), sink: sinkOn(scratch) });
    expect(report).toMatchObject({ status: 'complete-with-rejects', written: good.length, rejected: bad.length });
    expect((await scratch.official.scan(scratch.namespace, scratch.set)).length).toBe(good.length);
  });

  test('create-only writes what is not there, update-only what is; each tells the others', async () => {
    await using scratch = await scratchSet(hosts);
    const { official, namespace, set } = scratch;
    for (const id of [1, 2, 3]) await official.put(namespace, set, id, { v: 'old' });
    const rows = (v: string): Row[] => [1, 2, 3, 4, 5].map((id) => ({ id, v }));
    const created = await load({ source: iterable(rows('created')), sink: sinkOn(scratch, { mode: 'create-only' }) });
    expect(created).toMatchObject({ written: 2, rejected: 3 });
    const more = [...rows('updated'), { id: 6, v: 'updated' }];
    const updated = await load({ source: iterable(more), sink: sinkOn(scratch, { mode: 'update-only' }) });
    expect(updated).toMatchObject({ written: 5, rejected: 1 });
    const found = await official.read(namespace, set, [1, 2, 3, 4, 5, 6]);
    expect(found.map((record) => record?.bins.v ?? null)).toEqual([...new Array(5).fill('updated'), null]);
  });

  test('update leaves other bins alone, replace does not, and null takes a bin away', async () => {
    await using scratch = await scratchSet(hosts);
    const { official, namespace, set } = scratch;
    for (const id of [1, 2]) await official.put(namespace, set, id, { a: 1, b: 2 });
    await load({ source: iterable([{ id: 1, b: 3, c: 4 }]), sink: sinkOn(scratch) });
    await load({ source: iterable([{ id: 2, b: 3, c: 4 }]), sink: sinkOn(scratch, { mode: 'replace' }) });
    const [updated, replaced] = await official.read(namespace, set, [1, 2]);
    expect(updated?.bins).toEqual({ a: 1, b: 3, c: 4 });
    expect(replaced?.bins).toEqual({ b: 3, c: 4 });
    await load({ source: iterable([{ id: 1, b: null }]), sink: sinkOn(scratch) });
    const [without] = await official.read(namespace, set, [1]);
    expect(without?.bins).toEqual({ a: 1, c: 4 });
  });

  test('a generation that is another one is a reject', async () => {
    await using scratch = await scratchSet(hosts);
    const { official, namespace, set } = scratch;
    for (const id of [1, 2]) await official.put(namespace, set, id, { v: 'old' });
    await official.put(namespace, set, 2, { v: 'newer' });
    const rows: Row[] = [1, 2].map((id) => ({ id, v: 'mine', gen: 1 }));
    const report = await load({ source: iterable(rows), sink: sinkOn(scratch, { generation: 'gen', bins: ['v'] }) });
    expect(report).toMatchObject({ written: 1, rejected: 1 });
    const found = await official.read(namespace, set, [1, 2]);
    expect(found.map((record) => record?.bins.v)).toEqual(['mine', 'newer']);
  });

  test('a TTL is the one that was asked for, and a key is stored when it is asked for', async () => {
    await using scratch = await scratchSet(hosts);
    const { official, namespace, set } = scratch;
    await load({ source: iterable([{ id: 'with', v: 1 }]), sink: sinkOn(scratch, { ttl: 5_000, sendKey: true }) });
    await load({ source: iterable([{ id: 'without', v: 1 }]), sink: sinkOn(scratch, { ttl: 'never' }) });
    const [soon, never] = await official.read(namespace, set, ['with', 'without']);
    expect(soon?.ttl).toBeGreaterThan(4_900);
    expect(soon?.ttl).toBeLessThanOrEqual(5_000);
    expect(never?.ttl).toBe(-1);
    const stored = await official.scan(namespace, set);
    expect(stored.map(({ key }) => key).sort()).toEqual(['with', null].sort());
  });

  test.each([
    ['a namespace that is not there', { namespace: 'nowhere' }, 'no-such-namespace'],
    ['a port without a server', { hosts: ['127.0.0.1:1'] }, 'no-server'],
  ])('%s ends the load before anything is written', async (_, wrong, code) => {
    await using scratch = await scratchSet(hosts);
    const loading = load({
      source: iterable([{ id: 1, v: 1 }]),
      sink: sinkOn({ ...scratch, ...wrong }, { connectTimeout: 1 }),
    });
    const failure: LoadError = await loading.then(
      () => expect.fail('the load did not fail'),
      (error) => error,
    );
    expect(failure.code).toBe(code);
    expect(failure.report).toMatchObject({ status: 'failed', written: 0 });
  });
});
