import { Writable } from 'node:stream';
import type { Snapshot } from '../../contract/index.js';
import { advance, type Pace, renderProgress } from './progress.js';
import type { Terminal } from './terminal.js';

/** Shows how a run goes. Disposing it takes the live line away. */
export interface Display extends Disposable {
  update(snapshot: Snapshot): void;
}

/** Seconds between the lines where there is no screen. */
const interval = 5;

/** One live line where there is a screen, a plain line every few seconds where there is none, nothing when `quiet`. */
export async function startDisplay(
  terminal: Terminal,
  options: { readonly quiet: boolean; readonly limit?: number | undefined },
): Promise<Display> {
  if (options.quiet) return { update() {}, [Symbol.dispose]() {} };
  const limit = options.limit === undefined ? {} : { limit: options.limit };
  return terminal.live ? liveDisplay(terminal, limit) : plainDisplay(terminal, limit);
}

/** What of a terminal's stream is used. */
interface Sized {
  readonly rows: number;
  readonly columns: number;
  write(text: string): boolean;
}

/**
 * The screen with a size, where it tells none: rows and columns of a terminal behind a container, a pipe of `script` or a serial
 * line are often 0, and nothing would be written on it.
 */
export class Screen extends Writable {
  readonly isTTY = true;
  readonly #stream: Sized;

  constructor(stream: Sized) {
    super({ decodeStrings: false });
    this.#stream = stream;
  }

  get rows(): number {
    return this.#stream.rows || 24;
  }

  get columns(): number {
    return this.#stream.columns || 80;
  }

  /** At once, so that it keeps its order with what is written to the stream itself. */
  override _write(text: string, _encoding: BufferEncoding, done: () => void): void {
    this.#stream.write(text);
    done();
  }
}

async function liveDisplay(terminal: Terminal, options: { limit?: number }): Promise<Display> {
  const { createLogUpdate } = await import('log-update');
  const screen = new Screen(process.stderr);
  const line = createLogUpdate(screen);
  let pace: Pace | undefined;
  terminal.redirect((text) => line.persist(text));
  return {
    update(snapshot) {
      pace = advance(pace, snapshot);
      // The last column stays free: some terminals wrap when it is filled.
      const width = Math.max(10, screen.columns - 1);
      line(terminal.paint('bold', renderProgress(snapshot, pace, { ...options, width })));
    },
    [Symbol.dispose]() {
      terminal.redirect(undefined);
      line.clear();
      line.done();
    },
  };
}

function plainDisplay(terminal: Terminal, options: { limit?: number }): Display {
  let pace: Pace | undefined;
  let said = 0;
  return {
    update(snapshot) {
      pace = advance(pace, snapshot);
      if (snapshot.seconds < said + interval) return;
      said = snapshot.seconds;
      terminal.say(renderProgress(snapshot, pace, options));
    },
    [Symbol.dispose]() {},
  };
}
