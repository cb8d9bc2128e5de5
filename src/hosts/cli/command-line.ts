import { CommanderError } from 'commander';
import type { Report } from '../../contract/index.js';
import { SluiceError } from '../../errors.js';
import { exitCodes } from './exit-code.js';
import { explain, stackOf } from './explain.js';
import { makeProgram } from './program.js';
import { Terminal } from './terminal.js';

/** Runs the command and ends the process with its exit code. Never returns. */
export async function runCommandLine(args: readonly string[]): Promise<never> {
  const terminal = new Terminal();
  terminal.redactor.learn({ password: process.env.PGPASSWORD });
  const json = wantsJson(args);
  process.on('uncaughtException', (error) => {
    fail(error, json, terminal);
    process.exit(exitCodes.crashed);
  });
  const code = await run(args, terminal).catch((error: unknown) => fail(error, json, terminal));
  await terminal.flush();
  // What may still be open (a pipe on standard input, a socket kept alive) must not keep the process.
  process.exit(code);
}

async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  let code: number = exitCodes.complete;
  const program = makeProgram(terminal, (result) => {
    code = result;
  });
  await program.parseAsync(args, { from: 'user' });
  return code;
}

/** Says what went wrong, to people and, if they want it, to programs. Gives the exit code. */
function fail(error: unknown, json: boolean, terminal: Terminal): number {
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.complete;
  const { code, exit, text } = judge(error);
  terminal.say(`${terminal.paint('red', 'sluice:')} ${text}`);
  if (json) {
    const message = error instanceof SluiceError || exit === exitCodes.crashed ? explain(error) : text;
    const account = exit === exitCodes.crashed ? {} : nothingDone;
    terminal.print(JSON.stringify({ status: 'failed', ...account, error: { code, message } }));
  }
  return exit;
}

/** The account of a run that did not begin. Of one that crashed, nobody knows. */
const nothingDone = {
  read: 0,
  written: 0,
  unchanged: 0,
  duplicate: 0,
  rejected: 0,
  skipped: 0,
  bytes: 0,
  seconds: 0,
  problems: [],
  runDir: null,
  rejectsFile: null,
} satisfies Partial<Report>;

function judge(error: unknown): { code: string; exit: number; text: string } {
  if (error instanceof CommanderError && error.code === 'commander.help') {
    return { code: 'bad-usage', exit: exitCodes.failed, text: 'no command was given' };
  }
  if (error instanceof CommanderError) {
    const text = `${withoutValues(error.message)}\nTry: sluice --help`;
    return { code: 'bad-usage', exit: exitCodes.failed, text };
  }
  if (error instanceof SluiceError) {
    return { code: error.code, exit: exitCodes.failed, text: explain(error, Boolean(process.env.SLUICE_DEBUG)) };
  }
  const text = `crashed. This is a bug in Sluice; please report it with what follows.\n${stackOf(error)}`;
  return { code: 'crashed', exit: exitCodes.crashed, text };
}

/** Whether `--json` is among the flags, known before they are parsed: wrong usage is reported as JSON too. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}

/** An unknown option may have been a misspelt one with a secret in it. */
function withoutValues(message: string): string {
  return message.replace(/^error: /, '').replaceAll(/(--[\w-]+)=[^']*/g, '$1');
}
