import type { Batch, Cell, Refusal } from '../../contract/index.js';
import { isLosslessNumber } from '../../formats/json.js';
import type { Layout } from './layout.js';
import { keyReaderOf, writerOf } from './values.js';
import { KeyDigest } from './wire/key.js';
import { particle } from './wire/protocol.js';
import { type Operations, type WriteMessage, writeBin } from './wire/write-message.js';
import { Unwritable, type Writer } from './wire/writer.js';

interface Bin {
  /** Where its cell stands. */
  readonly at: number;
  readonly column: string;
  readonly name: Uint8Array;
  readonly write: (writer: Writer, value: Cell) => number;
}

const largestGeneration = 65_535;
/**
 * Bytes. A server closes the connection on a message over 128 MiB (aerospike-server `proto.h`, PROTO_SIZE_MAX), and takes no
 * record of a tenth of it; between the two its own answer tells.
 */
const largestRecord = 64 * 1024 * 1024;

/** Turns rows of batches with the same columns into records, one at a time: first the key, then the rest behind it. */
export class RowEncoder implements Operations {
  /** Of the row read last. */
  readonly key: KeyDigest;
  readonly #layout: Layout;
  readonly #cells: Cell[];
  readonly #keyAt: number;
  readonly #readKey: (cell: Cell) => ReturnType<ReturnType<typeof keyReaderOf>>;
  readonly #generationAt: number;
  readonly #bins: readonly Bin[];
  #generation = 0;
  /** The column at work, to be named when it fails. */
  #column = '';

  constructor(columns: readonly string[], layout: Layout) {
    this.#layout = layout;
    this.key = new KeyDigest(layout.set);
    this.#cells = new Array(columns.length);
    this.#keyAt = columns.indexOf(layout.key);
    this.#readKey = keyReaderOf(layout.keyType);
    this.#generationAt = layout.generation === undefined ? -1 : columns.indexOf(layout.generation);
    this.#bins = columns.flatMap((column, at): Bin[] => {
      const type = layout.typeOf(column);
      return type === undefined ? [] : [{ at, column, name: Buffer.from(column), write: writerOf(type) }];
    });
  }

  /** Reads a row and makes its key. The cells stay for `add`. */
  read(batch: Batch, row: number): Refusal | undefined {
    const refusal = batch.cells(row, this.#cells);
    if (refusal !== undefined) return refusal;
    const { key } = this.#layout;
    const cell = this.#cells[this.#keyAt];
    if (cell === undefined || cell === null) {
      const what = cell === null ? 'null' : 'missing';
      return { code: `${what}-key`, reason: `key column "${key}" is ${what}`, column: key };
    }
    try {
      this.#column = key;
      this.key.digest(this.#readKey(cell));
      this.#generation = this.#generationAt < 0 ? 0 : this.#readGeneration();
    } catch (error) {
      return this.#refusal(error);
    }
    return undefined;
  }

  /** Adds the row that was read last to a message. When it is refused, the message is as it was. */
  add(message: WriteMessage): Refusal | undefined {
    try {
      message.add(this.key, this.#generation, this);
    } catch (error) {
      return this.#refusal(error);
    }
    return undefined;
  }

  /** Called by the message. */
  write(writer: Writer): number {
    const start = writer.at;
    const cells = this.#cells;
    const bins = this.#bins;
    const { keepsNull } = this.#layout;
    let count = 0;
    for (let i = 0; i < bins.length; i++) {
      const bin = bins[i]!;
      const cell = cells[bin.at];
      if (cell === undefined || (cell === null && !keepsNull)) continue;
      this.#column = bin.column;
      writeBin(writer, bin.name, cell, cell === null ? writeNull : bin.write);
      count += 1;
    }
    if (count === 0) {
      this.#column = '';
      throw new Unwritable('empty-record', 'has a value for none of the bins');
    }
    if (writer.at - start > largestRecord) {
      this.#column = '';
      throw new Unwritable('record-too-big', 'is larger than any server takes');
    }
    return count;
  }

  #readGeneration(): number {
    const cell = this.#cells[this.#generationAt];
    this.#column = this.#layout.generation ?? '';
    const text = isLosslessNumber(cell) ? cell.value : String(cell);
    const generation = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (generation >= 1 && generation <= largestGeneration) return generation;
    throw new Unwritable('bad-generation', `is no generation: those are whole numbers from 1 to ${largestGeneration}`);
  }

  #refusal(error: unknown): Refusal {
    if (!(error instanceof Unwritable)) throw error;
    const column = this.#column;
    if (column === '') return { code: error.code, reason: `the record ${error.message}` };
    return { code: error.code, reason: `column "${column}" ${error.message}`, column };
  }
}

function writeNull(): number {
  return particle.null;
}
