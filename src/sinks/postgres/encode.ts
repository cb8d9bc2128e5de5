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

/** Rows with the same columns present, in COPY's text format. Its pieces can be taken once. */
export class Group implements Payload {
  readonly options = textOptions;
  readonly columns: readonly TargetColumn[];
  readonly rowNumbers: number[] = [];
  readonly pieces: Iterable<Uint8Array>;
  #ready: Buffer[] = [];
  #text = '';

  constructor(columns: readonly TargetColumn[], encoding: Encoding) {
    this.columns = columns;
    this.pieces = this.#take(encoding);
  }

  /** Known once the pieces were taken. */
  get rows(): number {
    return this.rowNumbers.length;
  }

  add(row: number, line: string): void {
    this.rowNumbers.push(row);
    this.#text += line;
    if (this.#text.length >= chunkChars) this.#flush();
  }

  /** A row is one line: line breaks in it are escaped. */
  rowAtLine(line: number): number | undefined {
    return this.rowNumbers[line - 1];
  }

  *#take(encoding: Encoding): Iterable<Uint8Array> {
    for (;;) {
      const done = !encoding.step();
      if (done) this.#flush();
      yield* this.#ready.splice(0);
      if (done) return;
    }
  }

  #flush(): void {
    if (this.#text !== '') this.#ready.push(Buffer.from(this.#text));
    this.#text = '';
  }
}

/**
 * Encodes the rows of a batch that are neither in `rejects` nor duplicates, step by step, so that the server can work on
 * what was sent while the rest is made. Rows that can't be written are added to `rejects`. Rows with other columns
 * missing come in groups of their own: one a set of columns, or, with `inOrder`, a new one each time the set changes,
 * so that the order of the rows is kept.
 */
export class Encoding {
  readonly groups: Group[] = [];
  readonly #batch: Batch;
  readonly #encoder: Encoder;
  readonly #rejects: Map<number, Refusal>;
  readonly #inOrder: boolean;
  readonly #byShape = new Map<string, Group>();
  readonly #cells: Cell[];
  #shape = '';
  #group: Group | undefined;
  #row = 0;

  constructor(batch: Batch, encoder: Encoder, rejects: Map<number, Refusal>, inOrder: boolean) {
    this.#batch = batch;
    this.#encoder = encoder;
    this.#rejects = rejects;
    this.#inOrder = inOrder;
    this.#cells = new Array(encoder.columns.length);
  }

  /** Encodes some rows; false when there are no more. */
  step(): boolean {
    const batch = this.#batch;
    let chars = 0;
    while (this.#row < batch.rows && chars < chunkChars) {
      const row = this.#row++;
      if (this.#rejects.has(row) || batch.duplicates.has(row)) continue;
      const line = this.#encode(row);
      if (typeof line === 'string') {
        this.#groupOf().add(row, line);
        chars += line.length;
      } else {
        this.#rejects.set(row, line);
      }
    }
    return this.#row < batch.rows;
  }

  #encode(row: number): string | Refusal {
    const cells = this.#cells;
    const refusal = this.#batch.cells(row, cells) ?? missingKey(cells, this.#encoder);
    return refusal ?? encodeLine(cells, this.#encoder, this.#batch.textual);
  }

  /** The group for the cells just read: mostly the one of the row before. */
  #groupOf(): Group {
    const cells = this.#cells;
    if (this.#group !== undefined && hasShape(cells, this.#shape)) return this.#group;
    const shape = shapeOf(cells);
    const known = this.#inOrder ? undefined : this.#byShape.get(shape);
    const group =
      known ??
      new Group(
        this.#encoder.columns.filter((_, i) => cells[i] !== undefined),
        this,
      );
    if (known === undefined) this.groups.push(group);
    this.#byShape.set(shape, group);
    this.#shape = shape;
    this.#group = group;
    return group;
  }
}

function shapeOf(cells: readonly Cell[]): string {
  return cells.map((cell) => (cell === undefined ? '0' : '1')).join('');
}

/** As shapeOf(cells) === shape, without making it: rows of one shape mostly follow one another. */
function hasShape(cells: readonly Cell[], shape: string): boolean {
  for (let i = 0; i < cells.length; i++) {
    if ((cells[i] === undefined) !== (shape.charCodeAt(i) === 48)) return false;
  }
  return true;
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
    // Digits need no escaping. Zero goes the long way, for there are two of them.
    if (typeof cell === 'number' && cell !== 0) {
      line += cell;
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
