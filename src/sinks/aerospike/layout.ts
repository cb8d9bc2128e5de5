import type { Intake } from '../../contract/index.js';
import { SinkError } from '../../errors.js';
import type { KeyType, Settings, ValueType } from './options.js';
import { longestBinName } from './wire/protocol.js';

/** Which columns become what of a record. */
export interface Layout {
  readonly set: string;
  readonly key: string;
  readonly keyType: KeyType;
  /** Column with the generation a record must have. */
  readonly generation: string | undefined;
  /** A null goes to the server, where it removes the bin; else it is left out, for the whole record is new. */
  readonly keepsNull: boolean;
  /** As what a column's values are written; undefined of one that is no bin. */
  typeOf(column: string): ValueType | undefined;
  /** Bins that were named, in their order; undefined when every column but the key is one. */
  readonly named: readonly string[] | undefined;
}

export function layoutOf(settings: Settings, set: string): Layout {
  const { key, keyType, generation, mode, bins } = settings;
  const types: ReadonlyMap<string, ValueType> | undefined =
    bins && new Map(Array.isArray(bins) ? bins.map((name) => [name, 'auto']) : Object.entries(bins));
  return {
    set,
    key,
    keyType,
    generation,
    keepsNull: mode === 'update' || mode === 'update-only',
    named: types && [...types.keys()],
    typeOf(column) {
      if (types !== undefined) return types.get(column);
      return column === key || column === generation ? undefined : 'auto';
    },
  };
}

/** Columns of the intake that are written, and bins that may come later. */
export interface Planned {
  readonly columns: readonly string[];
  readonly others: readonly string[];
  readonly bins: readonly string[];
}

/** @throws SinkError that names the column and the remedy. */
export function planColumns({ columns, ignoreExtra }: Intake, layout: Layout): Planned {
  const { key, generation, named } = layout;
  for (const [column, what] of [
    [key, 'key'],
    [generation, 'generation'],
  ] as const) {
    if (column === undefined || columns.includes(column)) continue;
    throw new SinkError(
      `no-${what}-column`,
      `no record has "${column}", the column of the ${what}: there are ${columns.join(', ')}. Name one of these (${what}), or map it with columns`,
    );
  }
  const bins = columns.filter((column) => layout.typeOf(column) !== undefined);
  const extra = columns.filter((column) => !bins.includes(column) && column !== key && column !== generation);
  if (extra.length > 0 && !ignoreExtra) {
    throw new SinkError(
      'unknown-column',
      `no bin is to be filled with ${extra.join(', ')}: name them in bins, or leave them out by ignoring extra fields (--ignore-extra)`,
    );
  }
  const others = named?.filter((name) => !columns.includes(name)) ?? [];
  if (bins.length === 0 && others.length === 0) {
    throw new SinkError(
      'no-bins',
      `there is nothing to write but the key "${key}": a record needs a bin. Name the key in bins too, or give another column`,
    );
  }
  for (const bin of [...bins, ...others]) checkBinName(bin);
  const taken = columns.filter((column) => !extra.includes(column));
  return { columns: taken, others, bins };
}

function checkBinName(name: string): void {
  const { length } = Buffer.from(name);
  if (length <= longestBinName) return;
  throw new SinkError(
    'bin-name-too-long',
    `"${name}" has ${length} bytes, and the name of a bin at most ${longestBinName}: give it a shorter one, as in --columns "short=${name}"`,
  );
}
