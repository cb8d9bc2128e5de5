import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.js';

/**
 * What the proxy does to a connection.
 * - `cut`, `reset`: ends it after some bytes, in the middle of whatever they are, with FIN or RST.
 * - `stall`: passes nothing on for a while, in one direction, then goes on or resets. What was held is delivered even if its sender has
 *   died in between: so transactions of the dead live on.
 * - `delay`: holds every packet for some milliseconds.
 * - `trickle`: passes on a few bytes at a time.
 * - `lose-commit`: ends it when COMMIT is about to be passed on.
 * - `lose-answer`: passes COMMIT on, and ends it when the answer is there.
 * - `late-commit`: holds COMMIT for a while, and passes it on even if its sender has died in between.
 */
export const lineFaults = [
  'cut',
  'reset',
  'stall',
  'delay',
  'trickle',
  'lose-commit',
  'lose-answer',
  'late-commit',
] as const;
export type LineFault = (typeof lineFaults)[number];

export interface FaultProxy extends AsyncDisposable {
  /** As the target's, by way of the proxy. */
  readonly url: string;
}

export interface FaultPlan {
  /** Share of the connections that meet a fault. */
  readonly share: number;
  /** After this many no more are made. */
  readonly most: number;
  readonly faults: readonly [LineFault, ...LineFault[]];
  /** Called when one takes effect. */
  readonly onFault: (fault: LineFault) => void;
}

/** In a simple query as in Parse the statement ends with NUL, which no text of a COPY can hold. */
const commit = Buffer.from('COMMIT\0');

/** Stands between a loader and the server of `target`, and does to each connection what its seed says. */
export async function startFaultProxy(target: string, random: Random, plan: FaultPlan): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let made = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
    }
    const faulty = random.chance(plan.share);
    const own = random.fork();
    const note = (fault: LineFault) => {
      if (made >= plan.most) return false;
      made++;
      plan.onFault(fault);
      return true;
    };
    const connection = new Connection(client, upstream, own, faulty ? own.pick(plan.faults) : undefined, note);
    void connection.run();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const url = new URL(target);
  url.port = String(address.port);
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Direction = 'sent' | 'answered';

/** One connection and what becomes of it. */
class Connection {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #random: Random;
  #fault: LineFault | undefined;
  readonly #note: (fault: LineFault) => boolean;
  /** Which way the fault strikes, where it strikes one way, and after how many bytes. */
  readonly #direction: Direction;
  #bytesLeft: number;
  /** The fault strikes at this COMMIT of the connection, counted from 1. */
  #commitsLeft: number;
  #struck = false;
  #answerLost = false;

  constructor(
    client: Socket,
    upstream: Socket,
    random: Random,
    fault: LineFault | undefined,
    note: (fault: LineFault) => boolean,
  ) {
    this.#client = client;
    this.#upstream = upstream;
    this.#random = random;
    this.#fault = fault;
    this.#note = note;
    this.#direction = random.chance(0.5) ? 'sent' : 'answered';
    this.#bytesLeft = this.#direction === 'sent' ? random.int(0, 120_000) : random.int(0, 2_500);
    this.#commitsLeft = random.int(1, 8);
  }

  async run(): Promise<void> {
    await Promise.all([
      this.#pass(this.#client, this.#upstream, 'sent'),
      this.#pass(this.#upstream, this.#client, 'answered'),
    ]);
    this.#end(false);
  }

  async #pass(from: Socket, to: Socket, direction: Direction): Promise<void> {
    let tail: Buffer = Buffer.alloc(0);
    try {
      for await (const chunk of from) {
        const data: Buffer = chunk;
        if (direction === 'answered' && this.#answerLost) return this.#end(this.#random.chance(0.5));
        let commits = false;
        if (direction === 'sent') {
          const seen = Buffer.concat([tail, data]);
          commits = seen.includes(commit);
          tail = seen.subarray(-(commit.length - 1));
        }
        if (!(await this.#forward(data, to, direction, commits))) return;
      }
    } catch {
      // The sender is gone.
    }
    to.end();
  }

  /** False when the connection was ended. */
  async #forward(data: Buffer, to: Socket, direction: Direction, commits: boolean): Promise<boolean> {
    const fault = this.#strikes(data, direction, commits);
    switch (fault) {
      case 'cut':
      case 'reset': {
        await write(to, data.subarray(0, Math.max(0, this.#bytesLeft)));
        this.#end(fault === 'reset');
        return false;
      }
      case 'lose-commit':
        this.#end(this.#random.chance(0.5));
        return false;
      case 'lose-answer':
        this.#answerLost = true;
        break;
      case 'late-commit':
        await sleep(this.#random.int(50, 2_500));
        break;
      case 'stall':
        await sleep(this.#random.int(50, 2_500));
        if (this.#random.chance(0.3)) {
          this.#end(true);
          return false;
        }
        break;
      case 'delay':
        await sleep(this.#random.int(1, 20));
        break;
      case 'trickle':
        return await trickle(to, data, this.#random);
      case undefined:
        break;
    }
    await write(to, data);
    return true;
  }

  /** The fault, when this is its moment. */
  #strikes(data: Buffer, direction: Direction, commits: boolean): LineFault | undefined {
    const fault = this.#fault;
    if (fault === undefined) return undefined;
    if (fault === 'lose-commit' || fault === 'lose-answer' || fault === 'late-commit') {
      if (!commits || --this.#commitsLeft > 0) return undefined;
    } else if (fault === 'delay' || fault === 'trickle') {
      if (this.#struck) return fault;
    } else {
      if (direction !== this.#direction) return undefined;
      if (this.#bytesLeft >= data.length) {
        this.#bytesLeft -= data.length;
        return undefined;
      }
    }
    if (!this.#note(fault)) {
      this.#fault = undefined;
      return undefined;
    }
    this.#struck = true;
    if (fault !== 'delay' && fault !== 'trickle') this.#fault = undefined;
    return fault;
  }

  #end(abruptly: boolean): void {
    for (const socket of [this.#client, this.#upstream]) {
      if (abruptly) socket.resetAndDestroy();
      else socket.destroy();
    }
  }
}

/** Some hundred pieces at most: the rest of a large packet goes as a whole. */
async function trickle(to: Socket, data: Buffer, random: Random): Promise<boolean> {
  let at = 0;
  for (let pieces = 0; pieces < 50 && at < data.length; pieces++) {
    const bytes = random.int(1, 9);
    await write(to, data.subarray(at, at + bytes));
    at += bytes;
    if (random.chance(0.2)) await sleep(1);
  }
  if (at < data.length) await write(to, data.subarray(at));
  return true;
}

/** With back pressure; to a receiver that is gone it writes nothing. */
async function write(to: Socket, data: Buffer): Promise<void> {
  if (data.length === 0 || to.destroyed || !to.writable || to.write(data)) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      to.off('drain', go).off('close', go);
      resolve();
    };
    to.on('drain', go).on('close', go);
  });
}
