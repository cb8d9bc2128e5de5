import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Log } from '../../contract/index.js';
import { explain } from './explain.js';

/** The log of one run: pino's lines in `log.ndjson`, each on the disk before the next statement. */
export interface RunLog extends Disposable {
  readonly log: Log;
}

export interface RunLogOptions {
  readonly directory: string;
  /** `debug` or `info`. */
  readonly level: string;
  /** Takes secrets out of a line. */
  clean(line: string): string;
  /** Told once, when the log can't be written (any longer). */
  warn(text: string): void;
}

/** Opens `log.ndjson`. A full disk or a folder that can't be written to ends the log, never the run. */
export function openRunLog({ directory, level, clean, warn }: RunLogOptions): RunLog {
  const path = join(directory, 'log.ndjson');
  let file: number | undefined;

  function attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      close();
      warn(`${path} can't be written; the load goes on without a log (${explain(error)}).`);
    }
  }
  function close(): void {
    if (file === undefined) return;
    const open = file;
    file = undefined;
    try {
      closeSync(open);
    } catch {
      // Nothing more can be saved here, and whoever closes has been told of the failed write.
    }
  }

  attempt(() => {
    file = openSync(path, 'a');
  });
  const destination = {
    write(line: string) {
      if (file === undefined) return;
      const open = file;
      attempt(() => {
        const bytes = Buffer.from(clean(line));
        for (let at = 0; at < bytes.length; ) at += writeSync(open, bytes, at);
      });
    },
  };
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return { log, [Symbol.dispose]: close };
}

/** The level that SLUICE_LOG asks for. */
export function logLevel(environment: Readonly<Record<string, string | undefined>>): 'debug' | 'info' {
  return environment.SLUICE_LOG === 'debug' ? 'debug' : 'info';
}
