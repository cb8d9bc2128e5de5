import { isDeepStrictEqual } from 'node:util';
import type { ScratchSet } from './scratch-set.js';

/** What was expected and is not there. */
export interface Loss {
  readonly compared: number;
  readonly missing: number;
  readonly different: number;
  /** The first few of either, with what was found. */
  readonly examples: readonly { readonly key: number; readonly found: unknown }[];
}

const together = 10_000;

/** Reads the records of integer keys `[from, to)` with the official client and compares each, value for value. */
export async function compareAll(
  { official, namespace, set }: ScratchSet,
  [from, to]: readonly [number, number],
  binsOf: (key: number) => Readonly<Record<string, unknown>>,
): Promise<Loss> {
  let missing = 0;
  let different = 0;
  const examples: { key: number; found: unknown }[] = [];
  for (let first = from; first < to; first += together) {
    const keys = Array.from({ length: Math.min(together, to - first) }, (_, i) => first + i);
    for (const [i, record] of (await official.read(namespace, set, keys)).entries()) {
      const key = first + i;
      if (record !== null && isDeepStrictEqual(record.bins, binsOf(key))) continue;
      if (record === null) missing++;
      else different++;
      if (examples.length < 5) examples.push({ key, found: record?.bins ?? null });
    }
  }
  return { compared: to - from, missing, different, examples };
}

/** What `compareAll` finds where nothing was lost. */
export function nothingLost(compared: number): Loss {
  return { compared, missing: 0, different: 0, examples: [] };
}
