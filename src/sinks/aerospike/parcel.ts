import { protocolFault, readAnswers } from './wire/frames.js';
import { BatchMessage, PutMessages, type WriteMessage, type WriteSettings } from './wire/write-message.js';

/** Result of a record that was not answered. */
const none = -1;
/** Bytes beyond which a message's memory is not kept for the next. */
const keptBytes = 4 * 1024 * 1024;

/** Rows on their way to one node: the message, and what was answered to each. */
export class Parcel {
  readonly message: WriteMessage;
  /** Row of the batch of each record, in the order they were added. */
  rows = new Int32Array(1_024);
  #codes = new Int16Array(1_024);
  #answered = 0;
  readonly #batch: boolean;

  constructor(message: WriteMessage) {
    this.message = message;
    this.#batch = message instanceof BatchMessage;
  }

  begin(): void {
    this.message.begin();
    this.#answered = 0;
  }

  /** Notes the row of the record that was added last. */
  added(row: number): void {
    const at = this.message.count - 1;
    if (at >= this.rows.length) {
      const rows = new Int32Array(at * 2);
      rows.set(this.rows);
      this.rows = rows;
      this.#codes = new Int16Array(at * 2);
    }
    this.rows[at] = row;
  }

  /** To be called before it is sent. */
  awaitAnswers(): void {
    this.#codes.fill(none, 0, this.message.count);
  }

  /** Result code of a record; -1 when it was not answered. */
  codeOf(at: number): number {
    return this.#codes[at]!;
  }

  /**
   * Takes a frame of the answer; true when it was the last.
   * @throws SluiceError `protocol-fault` for an answer nobody has asked for, or one too few.
   */
  take(body: Buffer): boolean {
    if (this.#batch) return this.#takeBatch(body);
    readAnswers(body, (_, code) => this.#note(this.#answered, code));
    return this.#answered === this.message.count;
  }

  #takeBatch(body: Buffer): boolean {
    const { count } = this.message;
    let ended = false;
    readAnswers(body, (index, code, last) => {
      if (ended) throw protocolFault('something comes behind its end');
      if (!last) return this.#note(index, code);
      ended = true;
      // The last one is of no record. What it says holds for all that have no answer of their own.
      if (code !== 0) for (let i = 0; i < count; i++) if (this.#codes[i] === none) this.#note(i, code);
    });
    if (ended && this.#answered < count) throw protocolFault(`${this.#answered} of ${count} records are answered`);
    return ended;
  }

  #note(at: number, code: number): void {
    if (at >= this.message.count) throw protocolFault(`record ${at} of ${this.message.count} is answered`);
    if (this.#codes[at] !== none) throw protocolFault(`record ${at} is answered twice`);
    this.#codes[at] = code;
    this.#answered += 1;
  }
}

/** Parcels that are used again, for nodes with and without batches. */
export class Parcels {
  readonly #settings: WriteSettings;
  readonly #free: { readonly batch: Parcel[]; readonly put: Parcel[] } = { batch: [], put: [] };

  constructor(settings: WriteSettings) {
    this.#settings = settings;
  }

  take(batches: boolean): Parcel {
    const free = batches ? this.#free.batch : this.#free.put;
    const parcel =
      free.pop() ?? new Parcel(batches ? new BatchMessage(this.#settings) : new PutMessages(this.#settings));
    parcel.begin();
    return parcel;
  }

  /** Gives one back whose message nobody reads any more. */
  give(parcel: Parcel): void {
    const { message } = parcel;
    if (message.writer.bytes.length > keptBytes) return;
    (message instanceof BatchMessage ? this.#free.batch : this.#free.put).push(parcel);
  }
}
