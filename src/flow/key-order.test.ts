import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Row } from '../contract/index.js';
import { SlicedBatch } from './batch.js';
import { KeyOrder, type Release } from './key-order.js';
import { compileMapper } from './mapping.js';

const never = new AbortController().signal;

function batchOf(records: readonly Row[]): SlicedBatch {
  const rows = records.length;
  const span = { split: 's', from: 0, rows, next: { row: rows, token: null } };
  const chunk = { kind: 'records', span, bytes: rows, records } as const;
  const slice = { chunk, first: 0, last: rows, start: { row: 0, token: null } };
  return new SlicedBatch([slice], compileMapper(undefined, ['a', 'b', 'n'], true));
}

const keyed = (...keys: unknown[]) => batchOf(keys.map((a, n) => ({ a, n })));

async function held(claim: Promise<Release>): Promise<boolean> {
  return (await Promise.race([claim.then(() => 'free'), sleep(5, 'held')])) === 'held';
}

describe('KeyOrder', () => {
  test('lets batches without a key in common go side by side', async () => {
    const order = new KeyOrder(['a']);
    await order.claim(keyed(1, 2, 2), never);
    await order.claim(keyed(3, 4), never);
  });

  test('holds a batch back until the one with its key has ended', async () => {
    const order = new KeyOrder(['a']);
    const first = await order.claim(keyed(1, 2), never);
    const second = order.claim(keyed(2, 3), never);
    expect(await held(second)).toBe(true);
    first();
    const release = await second;
    expect(await held(order.claim(keyed(3), never))).toBe(true);
    release();
  });

  test('a key of several columns is the same only when all of them are', async () => {
    const order = new KeyOrder(['a', 'b']);
    await order.claim(batchOf([{ a: 1, b: 'x' }]), never);
    await order.claim(
      batchOf([
        { a: 1, b: 'y' },
        { a: 'x', b: 1 },
      ]),
      never,
    );
    expect(await held(order.claim(batchOf([{ a: 1, b: 'x' }]), never))).toBe(true);
  });

  test('whoever waits stops when aborted', async () => {
    const order = new KeyOrder(['a']);
    await order.claim(keyed(1), never);
    const stop = new AbortController();
    const waiting = order.claim(keyed(1), stop.signal);
    stop.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });

  test('at no time are two batches with one key in flight, and each key sees its batches in order', async () => {
    const batches = fc.array(fc.array(fc.nat(15), { minLength: 1, maxLength: 4 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(batches, fc.infiniteStream(fc.nat(3)), async (all, pauses) => {
        const order = new KeyOrder(['a']);
        const inFlight = new Set<number>();
        const seen = new Map<number, number[]>();
        const running: Promise<void>[] = [];
        for (const [index, keys] of all.entries()) {
          const release = await order.claim(keyed(...keys), never);
          for (const key of new Set(keys)) {
            expect(inFlight.has(key)).toBe(false);
            inFlight.add(key);
            seen.set(key, [...(seen.get(key) ?? []), index]);
          }
          const pause = pauses.next().value;
          running.push(
            sleep(pause).then(() => {
              for (const key of keys) inFlight.delete(key);
              release();
            }),
          );
        }
        await Promise.all(running);
        for (const indexes of seen.values()) expect(indexes).toEqual([...indexes].sort((a, b) => a - b));
      }),
      { numRuns: 40 },
    );
  });
});
