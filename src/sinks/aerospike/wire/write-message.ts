import type { KeyDigest } from './key.js';
import {
  batchFlag,
  batchRecord,
  digestLength,
  fieldType,
  frameHeader,
  info1,
  messageHeader,
  messageType,
  protocolVersion,
  writeOperation,
} from './protocol.js';
import { Writer } from './writer.js';

/** What all records of a load have in common. */
export interface WriteSettings {
  readonly namespace: string;
  readonly set: string;
  /** As the protocol has them: see `info2` and `info3`. */
  readonly info2: number;
  readonly info3: number;
  /** Seconds, or one of the protocol's own values: 0 as the namespace has it, -1 never, -2 as it is. */
  readonly ttl: number;
  /** The key itself is stored with the record, not its digest alone. */
  readonly sendKey: boolean;
}

/** Writes the bins of a record behind its head. @throws Unwritable when a value has no form in the database. */
export interface Operations {
  /** Gives how many there are. */
  write(writer: Writer): number;
}

/** Offset of the time limit in a message, its frame included. */
const timeLimitAt = frameHeader + 14;
/** Where a batch's field starts: its length, type, count of records and flags. */
const batchFieldAt = frameHeader + messageHeader;

/** One message to one node with the records it is to write. Used again for the next. */
export interface WriteMessage {
  readonly writer: Writer;
  /** Records in it. */
  readonly count: number;
  begin(): void;
  /**
   * Adds a record.
   * @throws Unwritable: the message is then as it was before.
   */
  add(key: KeyDigest, generation: number, operations: Operations): void;
  /** The whole message, with the time the server may take, in milliseconds. The next `begin` ends it. */
  finish(timeLimit: number): Uint8Array;
}

/**
 * A batch: one message, one field that holds all records, in the order they were added. The server answers each by its
 * number. From server 6.0 on.
 */
export class BatchMessage implements WriteMessage {
  readonly writer = new Writer(64 * 1024);
  count = 0;
  readonly #settings: WriteSettings;
  /** What stands between a record's digest and its key or bins; the same for all, but for generation and count. */
  readonly #head: Uint8Array;
  /** Where the last record that was written in full has its generation, and where it ends. */
  #lastHead = 0;
  #lastEnd = 0;

  constructor(settings: WriteSettings) {
    this.#settings = settings;
    this.#head = headOf(settings);
  }

  begin(): void {
    const { writer } = this;
    writer.at = 0;
    this.count = 0;
    this.#lastEnd = 0;
    writeMessageHeader(writer, info1.batch, 0, 0, 0, 0, 1, 0);
    // Length and count are known at the end.
    writer.uint32(0);
    writer.byte(fieldType.batch);
    writer.uint32(0);
    writer.byte(batchFlag.inline | batchFlag.answerAll);
  }

  add(key: KeyDigest, generation: number, operations: Operations): void {
    const { writer } = this;
    const start = writer.at;
    try {
      writer.uint32(this.count);
      writeDigest(writer, key.words);
      const head = writer.at;
      writer.raw(this.#head);
      if (generation !== 0) {
        writer.bytes[head + 4] = generation >>> 8;
        writer.bytes[head + 5] = generation;
      }
      if (this.#settings.sendKey) writeKey(writer, key);
      const operationsAt = head + 12;
      const operationCount = operations.write(writer);
      writer.bytes[operationsAt] = operationCount >>> 8;
      writer.bytes[operationsAt + 1] = operationCount;
      if (this.#repeats(head)) {
        writer.bytes[head] = batchRecord.repeat;
        writer.at = head + 1;
      } else {
        this.#lastHead = head;
        this.#lastEnd = writer.at;
      }
    } catch (error) {
      writer.at = start;
      throw error;
    }
    this.count += 1;
  }

  finish(timeLimit: number): Uint8Array {
    const { writer } = this;
    writer.setUint32(timeLimitAt, timeLimit);
    writer.setUint32(batchFieldAt, writer.at - batchFieldAt - 4);
    writer.setUint32(batchFieldAt + 5, this.count);
    return finishFrame(writer, 0);
  }

  /** Whether the record from `head` on says what the last full one said: the server can be told so in one byte. */
  #repeats(head: number): boolean {
    const { bytes, at } = this.writer;
    const length = at - head;
    const last = this.#lastHead;
    if (length !== this.#lastEnd - last) return false;
    // What differs mostly does so at its end.
    for (let i = length - 1; i >= 0; i--) if (bytes[head + i] !== bytes[last + i]) return false;
    return true;
  }
}

/** Records one message each, behind one another: for servers before 6.0, which have no batch of writes. They answer in order. */
export class PutMessages implements WriteMessage {
  readonly writer = new Writer(64 * 1024);
  count = 0;
  readonly #settings: WriteSettings;
  /** Where each message starts. */
  readonly #starts: number[] = [];

  constructor(settings: WriteSettings) {
    this.#settings = settings;
  }

  begin(): void {
    this.writer.at = 0;
    this.count = 0;
    this.#starts.length = 0;
  }

  add(key: KeyDigest, generation: number, operations: Operations): void {
    const { writer } = this;
    const start = writer.at;
    try {
      writePut(writer, this.#settings, key, generation, operations);
    } catch (error) {
      writer.at = start;
      throw error;
    }
    this.#starts.push(start);
    this.count += 1;
  }

  finish(timeLimit: number): Uint8Array {
    for (const start of this.#starts) this.writer.setUint32(start + timeLimitAt, timeLimit);
    return this.writer.bytes.subarray(0, this.writer.at);
  }
}

/** One record as a message of its own, as the official clients write it. */
export function writePut(
  writer: Writer,
  settings: WriteSettings,
  key: KeyDigest,
  generation: number,
  operations: Operations,
): void {
  const { namespace, set, sendKey } = settings;
  const start = writer.at;
  const fields = (set === '' ? 2 : 3) + (sendKey ? 1 : 0);
  writeMessageHeader(writer, 0, settings.info2, settings.info3, generation, settings.ttl, fields, 0);
  writeTextField(writer, fieldType.namespace, namespace);
  if (set !== '') writeTextField(writer, fieldType.set, set);
  writer.uint32(digestLength + 1);
  writer.byte(fieldType.digest);
  writeDigest(writer, key.words);
  if (sendKey) writeKey(writer, key);
  const count = operations.write(writer);
  const countAt = start + frameHeader + 20;
  writer.bytes[countAt] = count >>> 8;
  writer.bytes[countAt + 1] = count;
  finishFrame(writer, start);
}

/** Writes a bin: the operation's head, its name, and the value by `particle`, which gives the value's type. */
export function writeBin(
  writer: Writer,
  name: Uint8Array,
  value: unknown,
  particle: (writer: Writer, value: unknown) => number,
): void {
  const start = writer.at;
  const { length } = name;
  writer.reserve(8 + length);
  const { bytes } = writer;
  bytes[start + 4] = writeOperation;
  bytes[start + 6] = 0;
  bytes[start + 7] = length;
  for (let i = 0; i < length; i++) bytes[start + 8 + i] = name[i]!;
  writer.at = start + 8 + length;
  // The buffer may be another afterwards.
  const type = particle(writer, value);
  writer.bytes[start + 5] = type;
  writer.setUint32(start, writer.at - start - 4);
}

function headOf({ namespace, set, info2, info3, ttl, sendKey }: WriteSettings): Uint8Array {
  const writer = new Writer(256);
  writer.byte(batchRecord.write);
  writer.byte(0);
  writer.byte(info2);
  writer.byte(info3);
  writer.uint16(0);
  writer.uint32(ttl);
  writer.uint16((set === '' ? 1 : 2) + (sendKey ? 1 : 0));
  writer.uint16(0);
  writeTextField(writer, fieldType.namespace, namespace);
  if (set !== '') writeTextField(writer, fieldType.set, set);
  return writer.bytes.subarray(0, writer.at);
}

function writeMessageHeader(
  writer: Writer,
  first: number,
  second: number,
  third: number,
  generation: number,
  ttl: number,
  fields: number,
  operations: number,
): void {
  writer.reserve(frameHeader + messageHeader);
  writer.at += frameHeader;
  writer.byte(messageHeader);
  writer.byte(first);
  writer.byte(second);
  writer.byte(third);
  writer.uint16(0);
  writer.uint32(generation);
  writer.uint32(ttl);
  writer.uint32(0);
  writer.uint16(fields);
  writer.uint16(operations);
}

function finishFrame(writer: Writer, start: number): Uint8Array {
  const { bytes, at } = writer;
  bytes[start] = protocolVersion;
  bytes[start + 1] = messageType.record;
  bytes.writeUIntBE(at - start - frameHeader, start + 2, 6);
  return bytes.subarray(start, at);
}

function writeTextField(writer: Writer, type: number, text: string): void {
  const start = writer.at;
  writer.reserve(5);
  writer.at += 5;
  const length = writer.text(text);
  writer.setUint32(start, length + 1);
  writer.bytes[start + 4] = type;
}

function writeKey(writer: Writer, key: KeyDigest): void {
  const { bytes, type } = key;
  writer.uint32(bytes.length + 2);
  writer.byte(fieldType.key);
  writer.byte(type);
  writer.raw(bytes);
}

function writeDigest(writer: Writer, words: Int32Array): void {
  writer.reserve(digestLength);
  const { bytes } = writer;
  let { at } = writer;
  for (let i = 0; i < 5; i++) {
    const word = words[i]!;
    bytes[at++] = word;
    bytes[at++] = word >>> 8;
    bytes[at++] = word >>> 16;
    bytes[at++] = word >>> 24;
  }
  writer.at = at;
}
