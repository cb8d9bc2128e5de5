import { type Command, CommanderError } from 'commander';
import type { Report } from '../../contract/index.js';
import { ConfigError, SluiceError } from '../../errors.js';
import { exitCodes } from './exit-code.js';
import { explain } from './explain.js';
import { makeProgram } from './program.js';
import { Terminal } from './terminal.js';

/** Runs the command and ends the process with its exit code. Never returns. */
export async function runCommandLine(args: readonly string[]): Promise<never> {
  const terminal = new Terminal();
  terminal.redactor.learn({ password: process.env.PGPASSWORD });
  const json = wantsJson(args);
  process.on('uncaughtException', (error) => process.exit(crash(error, json, terminal)));
  let code: number = exitCodes.complete;
  const program = makeProgram(terminal, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    code = fail(error, args, program, terminal);
  }
  await terminal.flush();
  // What may still be open (a pipe on standard input, a socket kept alive) must not keep the process.
  process.exit(code);
}

/** Says what went wrong, to people and, if they want it, to programs. Gives the exit code. */
function fail(error: unknown, args: readonly string[], program: Command, terminal: Terminal): number {
  const json = wantsJson(args);
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.complete;
  const fault = error instanceof CommanderError ? wrongUsage(error, args, program) : error;
  if (!(fault instanceof SluiceError)) return crash(fault, json, terminal);
  terminal.complain(fault, false);
  // Before there was anything to report.
  const interrupted = fault.code === 'interrupted';
  if (json) {
    const told = { code: fault.code, message: explain(fault) };
    terminal.print(JSON.stringify({ status: interrupted ? 'interrupted' : 'failed', ...nothingDone, error: told }));
  }
  return interrupted ? exitCodes.interrupted : exitCodes.failed;
}

/** Says that something happened which nobody foresaw; what was done until then is not known. */
function crash(error: unknown, json: boolean, terminal: Terminal): number {
  terminal.complain(error, true);
  if (json) terminal.print(JSON.stringify({ status: 'failed', error: { code: 'crashed', message: explain(error) } }));
  return exitCodes.crashed;
}

function wrongUsage(error: CommanderError, args: readonly string[], program: Command): ConfigError {
  // Its help was printed, and its message says no more.
  if (error.code === 'commander.help') return new ConfigError('bad-usage', 'no command was given');
  // An unknown option may have been a misspelt one with a secret in it.
  const message = error.message.replace(/^error: /, '').replaceAll(/(--[\w-]+)=[^']*/g, '$1');
  const hint =
    error.code === 'commander.missingArgument'
      ? '\nA variable such as $DATABASE_URL that is not set, or empty, gives no argument.'
      : '';
  return new ConfigError('bad-usage', `${message}${hint}\nTry: ${commandOf(args, program)} --help`);
}

/** The command that the arguments call, with its subcommand: `sluice runs show`. */
function commandOf(args: readonly string[], program: Command): string {
  const names = [program.name()];
  let command = program;
  for (const arg of args) {
    const called = command.commands.find((candidate) => candidate.name() === arg);
    if (called === undefined) break;
    names.push(called.name());
    command = called;
  }
  return names.join(' ');
}

/** The account of a run that did not begin. */
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

/** Whether `--json` is among the flags, known before they are parsed: wrong usage is reported as JSON too. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}
