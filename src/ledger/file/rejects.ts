import type { Reject } from '../../contract/index.js';
import type { Entry } from './record.js';
import { SegmentReader } from './segment.js';

/** Where a reject stands: its record in the file, and its place in that. */
interface Place {
  readonly split: string;
  readonly row: number;
  readonly record: { readonly offset: number; readonly length: number };
  readonly index: number;
}

/** The rejects of a segment in the order of splits and rows. Only their places are kept in memory. */
export async function* rejectsOf(path: string, signal: AbortSignal): AsyncGenerator<Reject, void, void> {
  await using segment = await SegmentReader.open(path);
  const places: Place[] = [];
  for await (const { entry, offset, length } of segment.records()) {
    signal.throwIfAborted();
    if (!('spans' in entry)) continue;
    const record = { offset, length };
    for (const [index, { split, row }] of entry.rejects.entries()) places.push({ split, row, record, index });
  }
  places.sort(inOrder);
  let at: Place['record'] | undefined;
  let entry: Entry | undefined;
  for (const { record, index } of places) {
    signal.throwIfAborted();
    if (record !== at) entry = await segment.again(record);
    at = record;
    if (entry === undefined || !('spans' in entry)) continue;
    const { split, row, code, reason, column, record: read } = entry.rejects[index]!;
    yield { split, row, code, reason, ...(column === undefined ? {} : { column }), record: read };
  }
}

function inOrder(a: Place, b: Place): number {
  if (a.split !== b.split) return a.split < b.split ? -1 : 1;
  return a.row - b.row;
}
