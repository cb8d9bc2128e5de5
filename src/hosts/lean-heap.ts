import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the process within its memory. To be called once the code is loaded, whose many objects live on: loading it so takes a
 * third longer. V8 looks at both flags each time it has collected.
 *
 * V8 lets the heap grow to four times what lives in it before it looks for what has died, and of a load nearly all has: records
 * that were written. At half as much again as lives, a million records of JSON peak at 125 instead of 166 MB, for a tenth
 * more of processor time. The space for young objects stays as it is, instead of growing up to 16 MiB in each half: that is 15 to 25
 * MB less again, for no processor time that could be measured.
 */
export function keepHeapLean(): void {
  setFlagsFromString('--heap-growing-percent=50');
  setFlagsFromString('--semi-space-growth-factor=1');
}
