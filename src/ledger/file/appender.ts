import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { SluiceError } from '../../errors.js';
import { isCode } from './folder.js';
import { encodeRecord } from './record.js';
import { type End, longestRecord } from './segment.js';

interface Waiting {
  readonly json: string;
  resolve(): void;
  reject(error: unknown): void;
}

/** Appends records to a segment, durably. Those that come while a sync is under way share the next one. */
export class Appender {
  readonly #path: string;
  readonly #check: () => Promise<void>;
  #end: End;
  readonly #waiting: Waiting[] = [];
  #busy = false;
  /** What has made the end of the file unknown: nothing may be written behind it. */
  #broken: unknown;

  /** `check` throws when the turn is over; it is asked after each sync, and before anybody is told. */
  constructor(path: string, end: End, check: () => Promise<void>) {
    this.#path = path;
    this.#end = end;
    this.#check = check;
  }

  /** Durable, and read by whoever takes the next turn, when it resolves. */
  append(json: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ json, resolve, reject });
      if (!this.#busy) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0);
      try {
        await this.#commit(group);
        for (const { resolve } of group) resolve();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#busy = false;
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    if (this.#broken !== undefined) throw this.#unwritable(this.#broken);
    const { salt, number, bytes } = this.#end;
    const lines = group.map(({ json }, i) => encodeRecord(salt, number + i, json));
    for (const { length } of lines) {
      if (length > longestRecord)
        throw this.#unwritable(new RangeError(`a record of ${length} bytes is too long for it`));
    }
    const data = Buffer.concat(lines);
    const file = await this.#open();
    try {
      await this.#write(file, data);
    } finally {
      await file.close();
    }
    this.#end = { salt, number: number + group.length, bytes: bytes + data.length };
    await this.#check();
  }

  async #open(): Promise<FileHandle> {
    try {
      return await open(this.#path, constants.O_WRONLY | constants.O_APPEND);
    } catch (error) {
      // A later turn has swept it away.
      if (isCode(error, 'ENOENT')) await this.#check();
      throw this.#unwritable(error);
    }
  }

  async #write(file: FileHandle, data: Buffer): Promise<void> {
    try {
      await file.appendFile(data);
    } catch (error) {
      try {
        await file.truncate(this.#end.bytes);
      } catch {
        this.#broken = error;
      }
      throw this.#unwritable(error);
    }
    try {
      await file.datasync();
    } catch (error) {
      // What of it is on the disk can't be known, and asking again would be answered with yes.
      this.#broken = error;
      throw this.#unwritable(error);
    }
  }

  #unwritable(error: unknown): SluiceError {
    const what = error instanceof Error ? error.message : String(error);
    return new SluiceError(
      'ledger-unwritable',
      `the ledger ${this.#path} can't be written: ${what}. Make it writable again, then resume: rows written since its last record are written once more`,
      { cause: error },
    );
  }
}
