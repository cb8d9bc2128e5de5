import type { Batch, Cell, Refusal } from '../../contract/index.js';
import { type CellText, cellTextFor } from './cell-text.js';
import { type Payload, textOptions } from './copy.js';
import type { Target, TargetColumn } from './target.js';

const chunkChars = 64 * 1024;

/** How cells become text, worked out once for a list of columns. */
export interface Encoder {
  readonly columns: readonly TargetColumn[];
  readonly texts: readonly CellText[];
  /** Where the key columns stand, in modes that match rows by key. */
  readonly key: readonly number[];
}

/**
 * @param names The batch's columns; the target has each of them.
 */
export function createEncoder(names: readonly string[], target: Target): Encoder {
  const columns = names.map((name) => {
    const column = target.columns.find((candidate) => candidate.name === name);
    if (column === undefined) throw new TypeError(`column "${name}" of the batch is not one of the target's`);
    return column;
  });
  return {
    columns,
    texts: columns.map(cellTextFor),
    key: target.mode === 'append' ? [] : target.key.map((name) => names.indexOf(name)),
  };
}

/** Rows with the same columns present, encoded in COPY's text format. */
export interface Group extends Payload {
  readonly columns: readonly TargetColumn[];
  readonly rowNumbers: readonly number[];
}

class GroupBuilder implements Group {
  readonly options = textOptions;
  readonly pieces: Buffer[] = [];
  readonly rowNumbers: number[] = [];
  readonly columns: readonly TargetColumn[];
  #text = '';

  constructor(columns: readonly TargetColumn[]) {
    this.columns = columns;
  }

  get rows(): number {
    return this.rowNumbers.length;
  }

  add(row: number, line: string): void {
    this.rowNumbers.push(row);
    this.#text += line;
    if (this.#text.length >= chunkChars) this.flush();
  }

  flush(): void {
    if (this.#text !== '') this.pieces.push(Buffer.from(this.#text));
    this.#text = '';
  }

  /** A row is one line: line breaks in it are escaped. */
  rowAtLine(line: number): number | undefined {
    return this.rowNumbers[line - 1];
  }
}

/**
 * Encodes the rows that are not in `rejects` or duplicates, and adds those that can't be written to `rejects`.
 * Rows with other columns missing come in groups of their own: one a set of columns, or, with `inOrder`, a new one each
 * time the set changes, so that the order of the rows is kept.
 */
export function encodeRows(batch: Batch, encoder: Encoder, rejects: Map<number, Refusal>, inOrder: boolean): Group[] {
  const width = encoder.columns.length;
  const cells: Cell[] = new Array(width);
  const groups: GroupBuilder[] = [];
  const byShape = new Map<string, GroupBuilder>();
  let shape = '';
  let group: GroupBuilder | undefined;
  for (let row = 0; row < batch.rows; row++) {
    if (rejects.has(row) || batch.duplicates.has(row)) continue;
    const refusal = batch.cells(row, cells) ?? missingKey(cells, encoder);
    if (refusal !== undefined) {
      rejects.set(row, refusal);
      continue;
    }
    const text = encodeLine(cells, encoder, batch.textual);
    if (typeof text !== 'string') {
      rejects.set(row, text);
      continue;
    }
    const rowShape = cells.includes(undefined) ? shapeOf(cells) : '';
    if (group === undefined || rowShape !== shape) {
      shape = rowShape;
      group = inOrder ? undefined : byShape.get(shape);
      if (group === undefined) {
        group = new GroupBuilder(encoder.columns.filter((_, i) => cells[i] !== undefined));
        groups.push(group);
        byShape.set(shape, group);
      }
    }
    group.add(row, text);
  }
  for (const each of groups) each.flush();
  return groups;
}

function shapeOf(cells: readonly Cell[]): string {
  return cells.map((cell) => (cell === undefined ? '0' : '1')).join('');
}

/** A row without its key can't be matched with any. */
export function missingKey(cells: readonly Cell[], encoder: Encoder): Refusal | undefined {
  for (const i of encoder.key) {
    const cell = cells[i];
    if (cell !== null && cell !== undefined) continue;
    const column = encoder.columns[i]!.name;
    const reason = `key column "${column}" is ${cell === null ? 'null' : 'missing'}: rows are matched by it`;
    return { code: '23502', reason, column };
  }
  return undefined;
}

function encodeLine(cells: readonly Cell[], { texts, columns }: Encoder, textual: boolean): string | Refusal {
  let line = '';
  let present = 0;
  for (let i = 0; i < texts.length; i++) {
    const cell = cells[i];
    if (cell === undefined) continue;
    if (present++ > 0) line += '\t';
    if (cell === null) {
      line += '\\N';
      continue;
    }
    // A job may put a constant that is not text among cells that are.
    const text = textual && typeof cell === 'string' ? cell : texts[i]!(cell);
    if (typeof text !== 'string') return text;
    if (special.test(text)) {
      const escaped = escapeText(text, columns[i]!);
      if (typeof escaped !== 'string') return escaped;
      line += escaped;
    } else {
      line += text;
    }
  }
  return present === 0 ? empty : `${line}\n`;
}

const empty: Refusal = { code: 'empty-record', reason: 'the record has none of the columns that are written' };

const special = /[\\\t\n\r\0\ud800-\udfff]/;
const escaped = /[\\\t\n\r]/g;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function escapeText(text: string, column: TargetColumn): string | Refusal {
  const refusal = unstorable(text, column);
  return refusal ?? text.replace(escaped, (character) => escapes[character]!);
}

/** What no text of the database can hold, whatever its type. */
export function unstorable(text: string, column: TargetColumn): Refusal | undefined {
  if (text.includes('\0'))
    return {
      code: '22021',
      reason: `column "${column.name}" has a NUL character, which PostgreSQL can't store`,
      column: column.name,
    };
  if (/\p{Surrogate}/u.test(text))
    return {
      code: '22021',
      reason: `column "${column.name}" has half of a surrogate pair, which is no character`,
      column: column.name,
    };
  return undefined;
}
