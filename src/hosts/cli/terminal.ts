import { styleText } from 'node:util';
import { Redactor } from '../redact.js';
import { explain, stackOf } from './explain.js';

/** What the command says and where: the report on standard output, everything for people on standard error. */
export class Terminal {
  readonly redactor = new Redactor();
  readonly #environment: Readonly<Record<string, string | undefined>>;
  /** Says what is for people some other way while a progress line is on the screen. */
  #through: ((text: string) => void) | undefined;

  constructor(environment: Readonly<Record<string, string | undefined>> = process.env) {
    this.#environment = environment;
    // A reader that went away (`sluice ... | head`) must not end the load: what is written there is lost, no more.
    process.stderr.on('error', () => {});
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') this.say(`warning: standard output can't be written (${explain(error)})`);
    });
  }

  /** A line of the result. */
  print(text: string): void {
    process.stdout.write(`${this.redactor.clean(text)}\n`);
  }

  /** A line for people. */
  say(text: string): void {
    const clean = this.redactor.clean(text);
    if (this.#through) this.#through(clean);
    else process.stderr.write(`${clean}\n`);
  }

  /** An error: in plain words, or, of one that nobody foresaw, with all that a bug report needs. */
  complain(error: unknown, crashed: boolean): void {
    const text = crashed
      ? `crashed. This is a bug in Sluice; please report it with what follows.\n${stackOf(error)}`
      : explain(error, Boolean(this.#environment.SLUICE_DEBUG));
    this.say(`${this.paint('red', 'sluice:')} ${text}`);
  }

  /** Sends what is for people through `write`, until it is called with nothing. */
  redirect(write: ((text: string) => void) | undefined): void {
    this.#through = write;
  }

  /** Whether standard error is a screen on which a line can be written again and again. */
  get live(): boolean {
    return process.stderr.isTTY === true && this.#environment.TERM !== 'dumb';
  }

  /** Colours a text that goes to a stream, if that is a screen whose user wants colours. */
  paint(style: 'bold' | 'green' | 'yellow' | 'red', text: string, stream: NodeJS.WriteStream = process.stderr): string {
    const plain = !stream.isTTY || this.#environment.TERM === 'dumb' || this.#environment.NO_COLOR;
    return plain ? text : styleText(style, text);
  }

  /** Resolves when everything was handed to the system, or its reader went away. */
  async flush(): Promise<void> {
    const flushed = [process.stdout, process.stderr].map(
      (stream) => new Promise<void>((resolve) => (stream.writable ? stream.write('', () => resolve()) : resolve())),
    );
    await Promise.all(flushed);
  }
}
