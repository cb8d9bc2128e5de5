import type { Batch, Cell, Refusal } from '../../contract/index.js';
import { type Encoder, Encoding, type Group } from './encode.js';

/**
 * Encodes a batch, its rows grouped by the columns they have. Each group is to be sent before the next is asked for.
 * Where rows are matched by key and one key stands in two groups, the last one must win: the groups then are runs of
 * consecutive rows instead.
 */
export function* encodeShapes(batch: Batch, encoder: Encoder, rejects: Map<number, Refusal>): Iterable<Group> {
  const encoding = new Encoding(batch, encoder, rejects, false);
  if (encoder.key.length > 0) {
    finish(encoding);
    if (encoding.groups.length > 1 && sharesKey(batch, encoder, encoding.groups)) {
      const runs = new Encoding(batch, encoder, rejects, true);
      finish(runs);
      yield* runs.groups;
      return;
    }
  }
  // The first group takes the encoding further while it is sent; by its end the other groups are known.
  while (encoding.groups.length === 0 && encoding.step());
  yield* encoding.groups;
}

function finish(encoding: Encoding): void {
  while (encoding.step());
}

/** Types whose equal values can be told by their text alone, letter case apart. */
const plain = new Set(['int2', 'int4', 'int8', 'text', 'varchar', 'uuid']);

function sharesKey(batch: Batch, encoder: Encoder, groups: readonly Group[]): boolean {
  if (!encoder.key.every((i) => plain.has(encoder.columns[i]!.baseType))) return true;
  const groupOf = new Map<string, number>();
  const cells: Cell[] = new Array(encoder.columns.length);
  for (const [index, group] of groups.entries()) {
    for (const row of group.rowNumbers) {
      batch.cells(row, cells);
      const key = encoder.key.map((i) => keyText(cells[i], encoder.columns[i]!.baseType)).join('\0');
      if ((groupOf.get(key) ?? index) !== index) return true;
      groupOf.set(key, index);
    }
  }
  return false;
}

function keyText(cell: Cell, baseType: string): string {
  const text = String(cell).toLowerCase();
  if (baseType === 'uuid') return text.replace(/[{}-]/g, '');
  return baseType.startsWith('int')
    ? text
        .trim()
        .replace(/^\+/, '')
        .replace(/^(-?)0+(?=\d)/, '$1')
    : text;
}
