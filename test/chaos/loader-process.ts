import { type ChildProcess, spawn } from 'node:child_process';
import type { Report } from '../../src/index.js';

/** How a loader ended: killed (neither report nor error), well (a report), or with an error. */
export interface LoaderEnd {
  readonly report: Report | undefined;
  readonly error: { readonly code: string; readonly message: string } | undefined;
  readonly stderr: string;
  /** Kilobytes it held at most; not known of one that was killed. */
  readonly peak: number | undefined;
}

export interface LoaderOptions {
  readonly url: string;
  readonly table: string;
  readonly path: readonly string[];
  readonly batchRows: number;
  readonly workers: number;
  readonly resume: boolean;
  readonly wait: boolean;
  readonly maxErrors: number;
}

/** A loader as a process of its own, running what is in dist/. */
export class Loader {
  readonly ended: Promise<LoaderEnd>;
  /** Its modules are loaded and it is about to start; or it has ended. */
  readonly ready: Promise<void>;
  readonly #process: ChildProcess;
  #hasEnded = false;
  /** Rows it has settled itself, as of 100 ms ago at most. */
  settled = 0;
  /** It is known to hold the run, or to have held it. */
  hasRun = false;

  /** `onTakeover` is called when it goes on with a run that was begun before. */
  constructor(options: LoaderOptions, onTakeover?: () => void) {
    const child = spawn(process.execPath, ['test/chaos/loader.js', JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    const end: { -readonly [name in keyof LoaderEnd]: LoaderEnd[name] } = {
      report: undefined,
      error: undefined,
      stderr: '',
      peak: undefined,
    };
    let begun = () => {};
    this.ready = new Promise((resolve) => {
      begun = resolve;
    });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const said = JSON.parse(line);
        if (said.ready) begun();
        if (typeof said.settled === 'number') {
          this.settled = said.settled;
          this.hasRun = true;
        }
        if (typeof said.epoch === 'number') {
          this.hasRun = true;
          onTakeover?.();
        }
        end.peak ??= said.peak;
        end.report ??= said.report;
        end.error ??= said.error;
      }
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (end.stderr += text));
    this.ended = new Promise((resolve) =>
      child.once('close', () => {
        this.#hasEnded = true;
        begun();
        resolve(end);
      }),
    );
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** False when it was too late. */
  kill(signal: NodeJS.Signals): boolean {
    return !this.#hasEnded && this.#process.kill(signal);
  }
}
