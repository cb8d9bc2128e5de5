import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { SluiceError } from '../../errors.js';
import { describeAddress } from './address.js';
import { type AdminAnswer, readAdminAnswer } from './wire/admin.js';
import { FrameReader, protocolFault } from './wire/frames.js';
import type { Address } from './wire/info.js';
import { infoRequest, readInfo } from './wire/info.js';
import { messageType } from './wire/protocol.js';

/** What a TLS connection is made with. */
export interface TlsSettings {
  readonly ca?: Buffer | undefined;
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

export interface ConnectionSettings {
  readonly tls: TlsSettings | undefined;
  /** Milliseconds without a byte after which a connection is given up. */
  readonly timeout: number;
}

/** Takes a frame's body; true when it was the last of what was asked for. What it throws ends the connection. */
type TakeFrame = (body: Buffer) => boolean;

interface Exchange {
  readonly type: number;
  readonly take: TakeFrame;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Milliseconds after which the system asks a silent peer whether it is there. */
const keepAliveAfter = 10_000;

/** One connection to a node. One exchange at a time. */
export class Connection {
  readonly #socket: Socket;
  readonly #where: string;
  readonly #frames = new FrameReader();
  #exchange: Exchange | undefined;
  #lost: Error | undefined;
  #onLost: (() => void) | undefined;

  private constructor({ socket, receiver }: Line, where: string, timeout: number) {
    this.#socket = socket;
    this.#where = where;
    receiver.read = (chunk) => this.#read(chunk);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveAfter);
    socket.setTimeout(timeout, () => {
      // Nothing is waited for on one that rests.
      if (this.#exchange === undefined) return;
      this.#fail(new SluiceError('node-timeout', `${where} did not answer for ${timeout / 1000} s`));
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new SluiceError('connection-lost', `${where} closed the connection`)));
  }

  /** @throws the system's error; SluiceError `connect-timeout`; the signal's reason. */
  static async open(address: Address, settings: ConnectionSettings, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    const where = describeAddress(address);
    const line = await dial(address, settings.tls);
    const { socket } = line;
    const event = settings.tls === undefined ? 'connect' : 'secureConnect';
    await new Promise<void>((resolve, reject) => {
      const end = (error?: unknown) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        socket.removeListener('error', end).removeListener('close', closed);
        if (error === undefined) return resolve();
        // An error that comes after this one is of no interest.
        socket.on('error', () => {});
        socket.destroy();
        reject(error);
      };
      const abort = () => end(signal.reason);
      const closed = () => end(new SluiceError('connection-lost', `${where} closed the connection at once`));
      const timer = setTimeout(
        () => end(new SluiceError('connect-timeout', `no connection to ${where} within ${settings.timeout / 1000} s`)),
        settings.timeout,
      );
      signal.addEventListener('abort', abort, { once: true });
      socket.once(event, () => end());
      socket.once('error', end);
      socket.once('close', closed);
    });
    return new Connection(line, where, settings.timeout);
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  /** Called once, when the connection is lost or closed while it rests. */
  whenLost(call: () => void): void {
    this.#onLost = call;
  }

  /** Asks for values of the node by their names. */
  async info(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    let values: ReadonlyMap<string, string> = new Map();
    await this.#ask(infoRequest(names), messageType.info, (body) => {
      values = readInfo(body);
      return true;
    });
    return values;
  }

  async admin(request: Buffer): Promise<AdminAnswer> {
    let answer: AdminAnswer | undefined;
    await this.#ask(request, messageType.admin, (body) => {
      answer = readAdminAnswer(body);
      return true;
    });
    if (answer === undefined) throw protocolFault('an admin message without an answer');
    return answer;
  }

  /**
   * Sends records, and hands over each frame of the answer until `take` says that it was the last. When it has resolved,
   * the message's memory may be used again; after a rejection, not.
   */
  async write(message: Uint8Array, take: TakeFrame): Promise<void> {
    await this.#ask(message, messageType.record, take);
  }

  /** Ends it, and what is being asked. */
  close(reason: Error = new SluiceError('connection-lost', `the connection to ${this.#where} was closed`)): void {
    this.#fail(reason);
  }

  #ask(message: Uint8Array, type: number, take: TakeFrame): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) return reject(this.#lost);
      this.#exchange = { type, take, resolve, reject };
      this.#socket.write(message);
    });
  }

  #read(chunk: Buffer): void {
    try {
      this.#frames.read(chunk, (type, body) => {
        const exchange = this.#exchange;
        if (exchange === undefined) throw protocolFault('a message nobody has asked for');
        // A node that sends nothing but these would be waited for without end.
        if (body.length === 0) throw protocolFault('an empty message');
        if (type !== exchange.type) throw protocolFault(`a message of type ${type} instead of ${exchange.type}`);
        if (!exchange.take(body)) return;
        this.#exchange = undefined;
        exchange.resolve();
      });
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #fail(error: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#socket.destroy();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.reject(error);
    this.#onLost?.();
  }
}

/** A socket, and where what comes on it goes. */
interface Line {
  readonly socket: Socket;
  readonly receiver: { read(chunk: Buffer): void };
}

/** Bytes read at once. */
const readBytes = 32 * 1024;

async function dial({ host, port, tlsName }: Address, tls: TlsSettings | undefined): Promise<Line> {
  // Nothing comes before it is asked for.
  const receiver = { read(_: Buffer): void {} };
  if (tls === undefined) {
    // One buffer is read into again and again: with one for each read, tens of megabytes would lie about until collected.
    const buffer = Buffer.allocUnsafeSlow(readBytes);
    const callback = (length: number): boolean => {
      receiver.read(buffer.subarray(0, length));
      return true;
    };
    return { socket: connectPlain({ host, port, onread: { buffer, callback } }), receiver };
  }
  // Only needed where the cluster is asked for by TLS.
  const { connect } = await import('node:tls');
  const name = tlsName ?? (isIP(host) === 0 ? host : undefined);
  const socket = connect({ host, port, ...tls, ...(name !== undefined && { servername: name }) });
  socket.on('data', (chunk) => receiver.read(chunk));
  return { socket, receiver };
}
