import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ReadAhead } from './read-ahead.js';

interface Piece {
  readonly number: number;
  readonly bytes: number;
}

/** Pieces numbered from 0; tells how many were asked for, and whether it was ended. */
function source(sizes: readonly number[], error?: Error) {
  const state = { given: 0, ended: false };
  async function* pieces(): AsyncGenerator<Piece, void, void> {
    try {
      for (const bytes of sizes) {
        await turn();
        yield { number: state.given++, bytes };
      }
      if (error) throw error;
    } finally {
      state.ended = true;
    }
  }
  return { state, pieces: pieces() };
}

test('gives every piece once, in order, and then the end or the error, however much was read ahead', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 12 }),
      fc.nat(20),
      fc.nat(4),
      fc.nat(20),
      fc.boolean(),
      async (sizes, bytes, sampled, wait, fails) => {
        const error = fails ? new Error('the source fails') : undefined;
        const { state, pieces } = source(sizes, error);
        const held: Piece[] = [];
        for (let i = 0; i < Math.min(sampled, sizes.length); i++) {
          const { value } = await pieces.next();
          held.push(value!);
        }
        const ahead = new ReadAhead(pieces, held, pieces.next(), bytes);
        for (let i = 0; i < wait; i++) await turn();
        const got: number[] = [];
        const read = async () => {
          for await (const { number } of ahead) got.push(number);
        };
        if (error) await expect(read()).rejects.toBe(error);
        else await read();
        expect(got).toEqual(sizes.map((_, i) => i));
        expect(state.ended).toBe(true);
      },
    ),
  );
});

test('reads on while nobody takes, and no further than it may', async () => {
  const { state, pieces } = source(Array.from({ length: 100 }, () => 10));
  const ahead = new ReadAhead(pieces, [], pieces.next(), 50);
  for (let i = 0; i < 50; i++) await turn();
  // Five are held, and one is asked for.
  expect(state.given).toBe(6);
  let got = 0;
  for await (const { number } of ahead) expect(number).toBe(got++);
  expect(got).toBe(100);
});

test('without bytes it reads nothing until it is taken from', async () => {
  const { state, pieces } = source([1, 1, 1]);
  const ahead = new ReadAhead(pieces, [], pieces.next(), 0);
  for (let i = 0; i < 20; i++) await turn();
  expect(state.given).toBe(1);
  const got: number[] = [];
  for await (const { number } of ahead) got.push(number);
  expect(got).toEqual([0, 1, 2]);
});

test('ends the source when nobody takes any more', async () => {
  const { state, pieces } = source(Array.from({ length: 100 }, () => 1));
  for await (const _ of new ReadAhead(pieces, [], pieces.next(), 10)) break;
  expect(state.ended).toBe(true);
  expect(state.given).toBeLessThan(20);
});

test('an error that nobody comes for is no unhandled one', async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  try {
    for (const bytes of [0, 50]) {
      const { state, pieces } = source([10], new Error('the source fails'));
      new ReadAhead(pieces, [], pieces.next(), bytes);
      for (let i = 0; i < 20; i++) await turn();
      await pieces.return();
      expect(state.ended).toBe(true);
    }
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', note);
  }
});
