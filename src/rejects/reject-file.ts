import { type FileHandle, lstat, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Reject } from '../contract/index.js';
import { describeJson } from '../formats/json.js';

/**
 * The rejects of a run as lines of JSON: `run`, `split`, `row` (counted from 1, as people do), `code`, `column`, `reason`,
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

  /** `run` is the one whose rejects they are: of a replay, the run that is replayed. */
  append(rejects: readonly Reject[], run: string): void {
    if (rejects.length === 0 || this.#failed) return;
    const lines = rejects.map((reject) => rejectLine(reject, run)).join('');
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

  /** Puts aside what an earlier run left in the same folder: somebody may have mended it. */
  async clear(): Promise<void> {
    const left = await lstat(this.path).catch(() => undefined);
    if (left?.isFile()) await rename(this.path, join(dirname(this.path), 'rejects.previous.ndjson'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    await this.#file?.close();
  }
}

function rejectLine({ split, row, code, column, reason, record, csv }: Reject, run: string): string {
  const head = JSON.stringify({ run, split, row: row + 1, code, column, reason }).slice(0, -1);
  const text = describeJson(record);
  return `${head}${text === undefined ? '' : `,"record":${text}`}${csv === undefined ? '' : `,"csv":${JSON.stringify(csv)}`}}\n`;
}
