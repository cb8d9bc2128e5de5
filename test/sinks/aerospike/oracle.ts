import { fork } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';

const everyPartition = Buffer.alloc(512, 0xff).toString('base64');
const messageTypes = { info: 1, admin: 2 } as const;

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
  const server = createServer((socket) => {
    let held: Buffer = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      for (;;) {
        const length = held.length < 8 ? Number.POSITIVE_INFINITY : 8 + held.readUIntBE(2, 6);
        if (held.length < length) return;
        const message = held.subarray(0, length);
        held = held.subarray(length);
        if (message[1] === messageTypes.info) socket.write(infoAnswer(message.subarray(8), port()));
        else {
          (message[1] === messageTypes.admin ? admin : messages).push(Buffer.from(message));
          socket.write(message[1] === messageTypes.admin ? session : done);
        }
      }
    });
  });
  const port = () => (server.address() as AddressInfo).port;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const child = fork(new URL('oracle-client.js', import.meta.url), { serialization: 'advanced' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ask = async (asked: object): Promise<void> => {
    const answered = new Promise<{ error?: string }>((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', (code, signal) => reject(new Error(`the official client ended: ${code ?? signal}`)));
    });
    child.send(asked);
    const { error } = await answered;
    child.removeAllListeners('exit');
    if (error !== undefined) throw new Error(`the official client: ${error}`);
  };
  await ask({ config: { hosts: `127.0.0.1:${port()}`, ...user } });
  return {
    admin,
    async put({ namespace = 'test', set = 'users', meta = {}, policy = {}, ...record }) {
      messages.length = 0;
      await ask({ ...record, namespace, set, meta, policy });
      return messages[0]!;
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      else child.kill();
      if (child.exitCode === null && child.signalCode === null) await Promise.race([ended, exited(child)]);
      server.close();
    },
  };
}

async function exited(child: ReturnType<typeof fork>): Promise<void> {
  await new Promise((resolve) => child.once('exit', resolve));
}

function infoAnswer(question: Buffer, port: number): Buffer {
  const known: Readonly<Record<string, string>> = {
    node: 'BB9020011AC4202',
    build: '8.0.0.15',
    features:
      'batch-any;batch-index;blob-bits;cdt-list;cdt-map;float;geo;peers;pipelining;pquery;pscans;query-show;replicas',
    'partition-generation': '1',
    'peers-generation': '1',
    'rebalance-generation': '1',
    'peers-clear-std': `1,${port},[]`,
    'service-clear-std': `127.0.0.1:${port}`,
    replicas: `test:0,1,${everyPartition};`,
  };
  const names = question.toString().split('\n').filter(Boolean);
  const body = Buffer.from(names.map((name) => `${name}\t${known[name] ?? 'ERROR:4:unrecognized command'}\n`).join(''));
  return Buffer.concat([frameHeader(messageTypes.info, body.length), body]);
}

function frameHeader(type: number, length: number): Buffer {
  const header = Buffer.alloc(8);
  header[0] = 2;
  header[1] = type;
  header.writeUIntBE(length, 2, 6);
  return header;
}

/** Result 0, generation 1. */
const done = Buffer.concat([frameHeader(3, 22), Buffer.from([22, 0, 0, 0, 0, 0, 0, 0, 0, 1, ...Array(12).fill(0)])]);

/** A session: its token, and how many seconds it lasts. */
const session = Buffer.concat([
  frameHeader(messageTypes.admin, 16 + 10 + 9),
  Buffer.from([0, 0, 0, 2, ...Array(12).fill(0)]),
  Buffer.from([0, 0, 0, 6, 5, ...Buffer.from('token')]),
  Buffer.from([0, 0, 0, 5, 6, 0, 0, 0x70, 0]),
]);
