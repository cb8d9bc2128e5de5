import { type FileHandle, lstat, open, rm } from 'node:fs/promises';
import type { Reject } from '../contract/index.js';
import { describeJson } from '../formats/json.js';

/**
 * The rejects of a run as lines of JSON: `split`, `row` (counted from 1, as people do), `code`, `column`, `reason`,
 * `record`, and `csv`, how to read a record that is CSV text. The file is made with the first reject. A disk that refuses it must not cost the load: the first failure is
 * handed to `onFailure` once, and nothing more is written.
 */
export class RejectFile {
  readonly path: string;
  readonly #onFailure: (error: unknown) => void;
  #file: FileHandle | undefined;
  #failed = false;
  /** Writes go one after another, in the order of the calls. */
  #tail: Promise<void> = Promise.resolve();

  constructor(path: string, onFailure: (error: unknown) => void) {
    this.path = path;
    this.#onFailure = onFailure;
  }

  /** Whether the file holds every reject given so far. */
  get whole(): boolean {
    return this.#file !== undefined && !this.#failed;
  }

  append(rejects: readonly Reject[]): void {
    if (rejects.length === 0 || this.#failed) return;
    const lines = rejects.map(rejectLine).join('');
    this.#tail = this.#tail.then(async () => {
      if (this.#failed) return;
      try {
        this.#file ??= await open(this.path, 'a');
        await this.#file.appendFile(lines);
      } catch (error) {
        this.#failed = true;
        this.#onFailure(error);
      }
    });
  }

  /** Takes away what an earlier run left in the same folder. */
  async clear(): Promise<void> {
    const left = await lstat(this.path).catch(() => undefined);
    if (left?.isFile()) await rm(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    await this.#file?.close();
  }
}

function rejectLine({ split, row, code, column, reason, record, csv }: Reject): string {
  const head = JSON.stringify({ split, row: row + 1, code, column, reason }).slice(0, -1);
  const text = describeJson(record);
  return `${head}${text === undefined ? '' : `,"record":${text}`}${csv === undefined ? '' : `,"csv":${JSON.stringify(csv)}`}}\n`;
}
