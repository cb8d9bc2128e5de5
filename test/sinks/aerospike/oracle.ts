import { fork } from 'node:child_process';
import { answer, frame, messageTypes, startEndpoint } from './endpoint.js';

/** A record for the official client to put. */
export interface Put {
  readonly key: unknown;
  readonly bins: unknown;
  readonly namespace?: string;
  readonly set?: string;
  readonly meta?: { readonly ttl?: number; readonly gen?: number };
  /** Numbers of the official client's policy module. */
  readonly policy?: {
    readonly exists?: number;
    readonly gen?: number;
    readonly key?: number;
    readonly durableDelete?: boolean;
  };
}

/** The official client, as far as the bytes it sends go. */
export interface Oracle extends AsyncDisposable {
  /** The whole message it sends to put a record. @throws when it will not. */
  put(record: Put): Promise<Buffer>;
  /** Admin messages it sent to get in. */
  readonly admin: readonly Buffer[];
}

/**
 * Starts the official client against an endpoint that answers no more than it takes for the client to connect and to
 * believe in its puts, and records what it sends.
 */
export async function startOracle(user?: { readonly user: string; readonly password: string }): Promise<Oracle> {
  const messages: Buffer[] = [];
  const admin: Buffer[] = [];
  const endpoint = await startEndpoint({
    onRecords(message, socket) {
      messages.push(message);
      socket.write(done);
    },
    onAdmin(message, socket) {
      admin.push(message);
      socket.write(session);
    },
  });
  const child = fork(new URL('oracle-client.js', import.meta.url), { serialization: 'advanced' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ask = async (asked: object): Promise<void> => {
    const answered = new Promise<{ error?: string }>((resolve) => child.once('message', resolve));
    const died = ended.then(() => ({ error: `it ended: ${child.exitCode ?? child.signalCode}` }));
    child.send(asked);
    const { error } = await Promise.race([answered, died]);
    if (error !== undefined) throw new Error(`the official client: ${error}`);
  };
  await ask({ config: { hosts: `127.0.0.1:${endpoint.port}`, ...user } });
  return {
    admin,
    async put({ namespace = 'test', set = 'users', meta = {}, policy = {}, ...record }) {
      messages.length = 0;
      await ask({ ...record, namespace, set, meta, policy });
      return messages[0]!;
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await ended;
      await endpoint.stop();
    },
  };
}

/** Result 0, generation 1. */
const done = frame(messageTypes.record, answer(0, 0));

/** A session: its token, and how many seconds it lasts. */
const session = frame(
  messageTypes.admin,
  Buffer.from([0, 0, 0, 2, ...Array(12).fill(0), 0, 0, 0, 6, 5, ...Buffer.from('token'), 0, 0, 0, 5, 6, 0, 0, 0x70, 0]),
);
