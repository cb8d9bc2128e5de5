import type { Batch, Cell, Refusal } from '../../contract/index.js';
import { type CellText, cellTextFor } from './cell-text.js';
import { type Payload, textOptions } from './copy.js';
import { ChunkPool, CopyText } from './copy-text.js';
import type { Target, TargetColumn } from './target.js';

/** Between looks at whether the connection takes more. */
const rowsAtOnce = 500;

/** Their elements are written as JSON, or stand between semicolons. */
const otherArrays = new Set(['_json', '_jsonb', '_box']);

/** How cells become text, worked out once for a list of columns. */
export interface Encoder {
  readonly columns: readonly TargetColumn[];
  readonly texts: readonly CellText[];
  /** Where strings are written as they are: everywhere but as JSON. */
  readonly verbatim: readonly boolean[];
  /** Where an array is a literal of texts in quotes with commas between. */
  readonly arrays: readonly boolean[];
  /** Where the key columns stand, in modes that match rows by key. */
  readonly key: readonly number[];
  readonly pool: ChunkPool;
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
    verbatim: columns.map(({ baseType }) => baseType !== 'json' && baseType !== 'jsonb'),
    arrays: columns.map(({ category, baseType }) => category === 'A' && !otherArrays.has(baseType)),
    key: target.mode === 'append' ? [] : target.key.map((name) => names.indexOf(name)),
    pool: new ChunkPool(),
  };
}

/** Rows with the same columns present, in COPY's text format. Its pieces can be taken once. */
export class Group implements Payload {
  readonly options = textOptions;
  readonly columns: readonly TargetColumn[];
  readonly rowNumbers: number[] = [];
  readonly pieces: Iterable<Uint8Array>;
  readonly text: CopyText;
  readonly #pool: ChunkPool;

  constructor(columns: readonly TargetColumn[], encoding: Encoding, pool: ChunkPool) {
    this.columns = columns;
    this.pieces = this.#take(encoding);
    this.text = new CopyText(pool);
    this.#pool = pool;
  }

  /** Known once the pieces were taken. */
  get rows(): number {
    return this.rowNumbers.length;
  }

  /** A row is one line: line breaks in it are escaped. */
  rowAtLine(line: number): number | undefined {
    return this.rowNumbers[line - 1];
  }

  sent(piece: Uint8Array): void {
    this.#pool.give(piece);
  }

  *#take(encoding: Encoding): Iterable<Uint8Array> {
    for (;;) {
      const done = !encoding.step();
      yield* this.text.take(done);
      if (done) return;
    }
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
    const until = Math.min(batch.rows, this.#row + rowsAtOnce);
    while (this.#row < until) {
      const row = this.#row++;
      if (this.#rejects.has(row) || batch.duplicates.has(row)) continue;
      const refusal = this.#encode(row);
      if (refusal !== undefined) this.#rejects.set(row, refusal);
    }
    return this.#row < batch.rows;
  }

  #encode(row: number): Refusal | undefined {
    const cells = this.#cells;
    const refusal = this.#batch.cells(row, cells) ?? missingKey(cells, this.#encoder) ?? missingAll(cells);
    if (refusal !== undefined) return refusal;
    const group = this.#groupOf();
    const fault = encodeLine(cells, this.#encoder, this.#batch.textual, group.text);
    if (fault === undefined) group.rowNumbers.push(row);
    else group.text.dropRow();
    return fault;
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
        this.#encoder.pool,
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

const empty: Refusal = { code: 'empty-record', reason: 'the record has none of the columns that are written' };

function missingAll(cells: readonly Cell[]): Refusal | undefined {
  for (const cell of cells) if (cell !== undefined) return undefined;
  return empty;
}

function encodeLine(
  cells: readonly Cell[],
  { texts, verbatim, arrays, columns }: Encoder,
  textual: boolean,
  out: CopyText,
): Refusal | undefined {
  let present = 0;
  for (let i = 0; i < texts.length; i++) {
    const cell = cells[i];
    if (cell === undefined) continue;
    if (present++ > 0) out.tab();
    if (cell === null) {
      out.null();
      continue;
    }
    if (typeof cell === 'number' && cell !== 0) {
      // Zero goes the long way, for there are two of them.
      if ((cell | 0) === cell) {
        out.integer(cell);
        continue;
      }
      if (out.decimal(cell)) continue;
    }
    if (typeof cell === 'object') {
      if (arrays[i] && Array.isArray(cell) && out.texts(cell)) continue;
      if (verbatim[i] && cell instanceof Date) {
        const time = cell.getTime();
        if (!Number.isNaN(time)) {
          out.moment(time);
          continue;
        }
      }
    }
    // A job may put a constant that is not text among cells that are.
    const asItIs = typeof cell === 'string' && (textual || verbatim[i]);
    const text = asItIs ? cell : texts[i]!(cell);
    if (typeof text !== 'string') return text;
    const refusal = out.text(text, columns[i]!);
    if (refusal !== undefined) return refusal;
  }
  out.endRow();
  return undefined;
}
