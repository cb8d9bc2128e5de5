import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { dirname, parse, resolve } from 'node:path';
import { type MemoryGroup, memoryGroup } from './memory-group.js';

/** What functions have, in MiB: the least that Lambda gives. */
export const memorySize = 128;
/** The program of AWS's own Runtime Interface Client, where it is to run the functions; else the loop beside this file does. */
export const client = process.env.SLUICE_LAMBDA_CLIENT;

/** How an invocation ended. */
export type Invoked =
  | { readonly kind: 'answer'; readonly value: unknown; readonly milliseconds: number }
  | { readonly kind: 'error'; readonly type: string; readonly message: string; readonly text: string }
  /** Its process was killed: at its limit, or before as it was asked to be. */
  | { readonly kind: 'killed'; readonly atLimit: boolean };

interface InvokeOptions {
  /** Milliseconds. */
  readonly limit?: number;
  /** Kills the process after so many milliseconds, as if the machine were gone, or once this resolves. */
  readonly killAfter?: number | Promise<unknown>;
}

/** A function's place to run in: one process, made when needed, frozen between invocations, killed at their limit. */
export interface Sandbox extends AsyncDisposable {
  /** One at a time. */
  invoke(event: unknown, options?: InvokeOptions): Promise<Invoked>;
  /** What the function has written to its standard output, line by line. */
  readonly log: readonly string[];
  /** Processes that were started. */
  readonly starts: number;
  /** What holds the function within its memory; undefined where this machine has no such thing, or it was not asked for. */
  readonly group: MemoryGroup | undefined;
  /** The most memory a process had resident, in bytes, up to the end of the latest invocation that was not killed; 0 where the machine does not tell. */
  peak(): number;
  /** Milliseconds of processor time the latest process took so far; undefined where the machine does not tell. */
  worked(): number | undefined;
}

interface Waiting {
  readonly event: unknown;
  readonly id: string;
  readonly limit: number;
  /** Called when the function is handed the event: its start does not count, as in Lambda. */
  given(): void;
  done(outcome: Invoked): void;
}

/**
 * The Runtime API of AWS Lambda as a real HTTP endpoint (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), and a
 * process that asks it for events. `env` is all the environment the function gets, beside Lambda's own.
 */
export async function startSandbox(
  env: NodeJS.ProcessEnv,
  handler = 'test/lambda/sandbox/handler.js',
): Promise<Sandbox> {
  const stream = `2026/01/31/[$LATEST]${randomUUID().replaceAll('-', '')}`;
  const log: string[] = [];
  let starts = 0;
  const group = client === undefined ? undefined : memoryGroup(memorySize * 1024 * 1024);
  const running = new Set<Promise<unknown>>();
  let peak = 0;
  let child: ChildProcess | undefined;
  let asking: ServerResponse | undefined;
  let waiting: Waiting | undefined;
  let begun = 0;

  function serve(): void {
    if (asking === undefined || waiting === undefined) return;
    asking.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': waiting.id,
      'lambda-runtime-deadline-ms': String(Date.now() + waiting.limit),
      'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:eu-central-1:000000000000:function:test',
    });
    asking.end(JSON.stringify(waiting.event));
    asking = undefined;
    waiting.given();
  }

  const server = createServer(async (request, response) => {
    if (request.url === '/2018-06-01/runtime/invocation/next') {
      asking = response;
      serve();
      return;
    }
    const body = await textOf(request);
    response.writeHead(202).end();
    const [, id, how] = /^\/2018-06-01\/runtime\/invocation\/([^/]+)\/(response|error)$/.exec(request.url ?? '') ?? [];
    if (waiting === undefined || waiting.id !== id) return;
    const value: unknown = JSON.parse(body === '' ? 'null' : body);
    if (how === 'response') waiting.done({ kind: 'answer', value, milliseconds: performance.now() - begun });
    else waiting.done(errorOf(value, body));
  });
  // Lambda's does not hang up on a function that was frozen for long.
  server.keepAliveTimeout = 0;
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the runtime API has no port');
  const api = `127.0.0.1:${address.port}`;

  function start(): void {
    starts += 1;
    asking = undefined;
    const [program, ...args] = within(group, runtime(handler));
    const started = spawn(program!, args, {
      // Where Lambda unpacks the function.
      cwd: client === undefined ? process.cwd() : dirname(resolve(handler)),
      env: {
        PATH: process.env.PATH,
        AWS_LAMBDA_RUNTIME_API: api,
        AWS_LAMBDA_FUNCTION_NAME: 'test',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memorySize),
        AWS_LAMBDA_LOG_STREAM_NAME: stream,
        _HANDLER: resolve(handler),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(started, 'exit').finally(() => running.delete(ended));
    running.add(ended);
    for (const output of [started.stdout, started.stderr]) {
      output.setEncoding('utf8').on('data', (text: string) => log.push(...text.split('\n').filter(Boolean)));
    }
    started.once('exit', () => {
      if (child !== started) return;
      child = undefined;
      waiting?.done({ kind: 'killed', atLimit: false });
    });
    child = started;
  }

  return {
    log,
    get starts() {
      return starts;
    },
    group,
    peak: () => peak,
    worked: () => workedBy(child?.pid),
    async invoke(event, { limit = 30_000, killAfter } = {}) {
      if (child === undefined) start();
      else child.kill('SIGCONT');
      const timers: NodeJS.Timeout[] = [];
      const kill = (atLimit: boolean) => {
        waiting?.done({ kind: 'killed', atLimit });
        child?.kill('SIGKILL');
        child = undefined;
      };
      const outcome = await new Promise<Invoked>((done) => {
        const given = () => {
          begun = performance.now();
          timers.push(setTimeout(() => kill(true), limit));
          if (typeof killAfter === 'number') timers.push(setTimeout(() => kill(false), killAfter));
          else void killAfter?.then(() => kill(false));
        };
        waiting = { event, id: randomUUID(), limit, given, done };
        serve();
      });
      for (const timer of timers) clearTimeout(timer);
      waiting = undefined;
      peak = Math.max(peak, peakOf(child?.pid));
      child?.kill('SIGSTOP');
      return outcome;
    },
    async [Symbol.asyncDispose]() {
      child?.kill('SIGKILL');
      await Promise.all(running);
      group?.[Symbol.dispose]();
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** What asks the Runtime API for events and hands them to the function. */
function runtime(handler: string): string[] {
  if (client === undefined) return [process.execPath, resolve('test/lambda/sandbox/loop.js')];
  return [process.execPath, client, `${parse(handler).name}.handler`];
}

/** A shell puts itself into the group and becomes the program. */
function within(group: MemoryGroup | undefined, command: string[]): string[] {
  if (group === undefined) return command;
  return ['sh', '-c', 'echo $$ > "$1" && shift && exec "$@"', 'sh', group.processes, ...command];
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += piece;
  return text;
}

function errorOf(value: unknown, text: string): Invoked {
  const { errorType = '', errorMessage = '' } = value as { errorType?: string; errorMessage?: string };
  return { kind: 'error', type: errorType, message: errorMessage, text };
}

function peakOf(pid: number | undefined): number {
  try {
    const [, kibibytes = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kibibytes) * 1024;
  } catch {
    return 0;
  }
}

/** Fields 14 and 15 of proc(5)'s stat, in ticks of 10 ms. */
function workedBy(pid: number | undefined): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return undefined;
  }
}
