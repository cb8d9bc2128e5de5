import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { RunStatus, Span } from '../../contract/index.js';
import { SluiceError } from '../../errors.js';
import { syncFolder } from './folder.js';
import { type Line, linesOf } from './lines.js';
import { decodeRecord, type Entry, encodeRecord, type Header, parseEntry, parseHeader, version } from './record.js';

/** Bytes of a record at most: what a batch rejects is one. */
export const longestRecord = 256 * 1024 * 1024;
/** Bytes gathered before they are written. */
const writeBytes = 1024 * 1024;

/** A record of a segment, and where its line stands. */
export interface Found {
  readonly entry: Entry;
  readonly json: string;
  readonly offset: number;
  readonly length: number;
}

/** What the records of a segment add up to. */
export class SegmentState {
  readonly header: Header;
  readonly spans: Span[] = [];
  rejected = 0;
  ended: { readonly status: RunStatus; readonly at: Date } | undefined;

  constructor(header: Header) {
    this.header = header;
  }

  add(entry: Entry): void {
    if ('spans' in entry) {
      for (const { next, ...span } of entry.spans) {
        this.spans.push({ ...span, next: { row: next.row, token: next.token } });
      }
      this.rejected += entry.rejects.length;
    } else if ('ended' in entry) {
      this.ended = { status: entry.ended, at: new Date(entry.at) };
    }
  }
}

/** Where the next record goes. */
export interface End {
  readonly salt: string;
  readonly number: number;
  readonly bytes: number;
}

type Lines = AsyncGenerator<Line, void, void>;

/** The records of a file, whoever may be writing to it. */
export class SegmentReader implements AsyncDisposable {
  readonly header: Header;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #salt: string;
  readonly #lines: Lines;

  private constructor(path: string, file: FileHandle, header: Header, salt: string, lines: Lines) {
    this.#path = path;
    this.#file = file;
    this.header = header;
    this.#salt = salt;
    this.#lines = lines;
  }

  /**
   * @throws SluiceError `ledger-damaged` when the first record is not as it was written; `ledger-version` when another
   * version of Sluice wrote it.
   */
  static async open(path: string): Promise<SegmentReader> {
    const file = await open(path, 'r');
    try {
      const lines = linesOf(file, longestRecord);
      const first = await lines.next();
      const start = first.done || !first.value.whole ? undefined : decodeRecord('', first.value.bytes);
      if (start === undefined || start.number !== 0) throw damaged(path, 0);
      const header = parseHeader(start.json);
      if (header === undefined) throw foreign(path);
      return new SegmentReader(path, file, header, start.sum, lines);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * All records but the first, once. A torn tail is passed over: what stands behind the last record that is as it was
   * written, when none follows. Either nobody was told that it is durable, or its rows are written once more.
   * @throws SluiceError `ledger-damaged`, possibly at the very end: what was given before then means nothing.
   */
  async *records(): AsyncGenerator<Found, void, void> {
    let number = 1;
    let based = false;
    let wrong: number | undefined;
    for await (const { bytes, whole, offset } of this.#lines) {
      const record = whole ? decodeRecord(this.#salt, bytes) : undefined;
      if (record === undefined) {
        wrong ??= offset;
        continue;
      }
      if (wrong !== undefined || record.number !== number) throw damaged(this.#path, wrong ?? offset);
      number += 1;
      const entry = this.#parse(record.json);
      if ('base' in entry) based = true;
      yield { entry, json: record.json, offset, length: bytes.length };
    }
    if (!based) throw damaged(this.#path, wrong ?? 0);
  }

  /** A record given before, read once more. */
  async again({ offset, length }: Pick<Found, 'offset' | 'length'>): Promise<Entry> {
    const line = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#file.read(line, 0, length, offset);
    const record = bytesRead === length ? decodeRecord(this.#salt, line) : undefined;
    if (record === undefined) throw damaged(this.#path, offset);
    return this.#parse(record.json);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  #parse(json: string): Entry {
    const entry = parseEntry(json);
    if (entry === undefined) throw foreign(this.#path);
    return entry;
  }
}

export async function readSegment(path: string): Promise<SegmentState> {
  await using segment = await SegmentReader.open(path);
  const state = new SegmentState(segment.header);
  for await (const { entry } of segment.records()) state.add(entry);
  return state;
}

/** A file in the making: it gets its name when all of it is durable. */
export class SegmentDraft {
  readonly #path: string;
  readonly #file: FileHandle;
  #salt = '';
  #number = 0;
  #bytes = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  static async start(path: string, header: Header): Promise<SegmentDraft> {
    const draft = new SegmentDraft(path, await open(draftName(path), 'w'));
    const line = encodeRecord('', 0, JSON.stringify(header));
    draft.#salt = decodeRecord('', line.subarray(0, -1))!.sum;
    draft.#gather(line);
    return draft;
  }

  async add(json: string): Promise<void> {
    this.#gather(encodeRecord(this.#salt, this.#number, json));
    if (this.#waitingBytes >= writeBytes) await this.#write();
  }

  /** Gives the file its name; one of that name before is replaced. */
  async keep(): Promise<End> {
    await this.add(JSON.stringify({ base: this.#number } satisfies Entry));
    await this.#write();
    await this.#file.sync();
    await this.#file.close();
    await rename(draftName(this.#path), this.#path);
    await syncFolder(dirname(this.#path));
    return { salt: this.#salt, number: this.#number, bytes: this.#bytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Closing twice is no error; a draft that was not kept is swept away by the next turn.
    await this.#file.close();
  }

  #gather(line: Buffer): void {
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#bytes += line.length;
    this.#number += 1;
  }

  async #write(): Promise<void> {
    const lines = Buffer.concat(this.#waiting.splice(0));
    this.#waitingBytes = 0;
    await this.#file.appendFile(lines);
  }
}

function draftName(path: string): string {
  return `${path}.draft`;
}

function damaged(path: string, offset: number): SluiceError {
  return new SluiceError(
    'ledger-damaged',
    `the ledger ${path} is damaged at byte ${offset}: what it says is settled can't be trusted. Bring the file back from a backup, or start a new run without resuming; then prune the old one`,
  );
}

function foreign(path: string): SluiceError {
  return new SluiceError(
    'ledger-version',
    `the ledger ${path} was not made by this version of Sluice, which knows version ${version}: use the one that made it, or a newer one`,
  );
}
