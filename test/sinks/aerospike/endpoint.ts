import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export const messageTypes = { info: 1, admin: 2, record: 3 } as const;

/** A record as it was asked to be written. */
export interface Asked {
  readonly index: number;
  /** Hexadecimal. */
  readonly digest: string;
  /** What follows the digest, hexadecimal; `repeat` when it was that of the record before. */
  readonly rest: string;
}

export interface EndpointOptions {
  /** Values the endpoint tells in place of its own; a function is asked each time. Undefined: it does not know the name. */
  readonly info?: Readonly<Record<string, string | undefined | (() => string | undefined)>>;
  /** Takes connections, and answers nothing. */
  readonly silent?: boolean;
  /** Called for each message with records. */
  onRecords?(message: Buffer, socket: Socket): void;
  onAdmin?(message: Buffer, socket: Socket): void;
  /** Instead of a plain server. */
  server?(connected: (socket: Socket) => void): Server;
}

/** Something that speaks the protocol's bytes as far as a test says: no database. */
export interface Endpoint extends AsyncDisposable {
  readonly port: number;
  /** Names that were asked for, each as often as it was. */
  readonly asked: string[];
  readonly connections: number;
  /** Ends every connection; new ones are taken. */
  drop(): Promise<void>;
  /** Ends every connection, and takes none from now on. */
  stop(): Promise<void>;
}

export async function startEndpoint(options: EndpointOptions = {}): Promise<Endpoint> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const connected = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    let held: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      for (;;) {
        const length = held.length < 8 ? Number.POSITIVE_INFINITY : 8 + held.readUIntBE(2, 6);
        if (held.length < length) return;
        const message = Buffer.from(held.subarray(0, length));
        held = held.subarray(length);
        if (options.silent) continue;
        if (message[1] === messageTypes.admin) options.onAdmin?.(message, socket);
        else if (message[1] === messageTypes.record) options.onRecords?.(message, socket);
        else {
          const names = message.subarray(8).toString().split('\n').filter(Boolean);
          asked.push(...names);
          socket.write(infoAnswer(names, { ...standard(port()), ...options.info }));
        }
      }
    });
  };
  const server = options.server?.(connected) ?? createServer(connected);
  const port = () => (server.address() as AddressInfo).port;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const drop = async () => {
    const ended = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of sockets) socket.destroy();
    await Promise.all(ended);
    // The other side learns of it a moment later.
    await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  return {
    port: port(),
    asked,
    get connections() {
      return sockets.size;
    },
    drop,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A bitmap of partitions `[from, to)`, as nodes tell it. */
export function bitmap(from = 0, to = 4096): string {
  const bits = Buffer.alloc(512);
  for (let i = from; i < to; i++) bits[i >> 3]! |= 0x80 >> (i & 7);
  return bits.toString('base64');
}

function standard(port: number): Readonly<Record<string, string>> {
  return {
    node: `BB9${port}`,
    build: '8.0.0.15',
    features:
      'batch-any;batch-index;blob-bits;cdt-list;cdt-map;float;geo;peers;pipelining;pquery;pscans;query-show;replicas',
    'partition-generation': '1',
    'peers-generation': '1',
    'rebalance-generation': '1',
    'peers-clear-std': `1,${port},[]`,
    'peers-clear-alt': `1,${port},[]`,
    'peers-tls-std': `1,${port},[]`,
    'service-clear-std': `127.0.0.1:${port}`,
    replicas: `test:0,1,${bitmap()};`,
  };
}

function infoAnswer(names: readonly string[], known: NonNullable<EndpointOptions['info']>): Buffer {
  const lines = names.map((name) => {
    const value = known[name];
    return `${name}\t${(typeof value === 'function' ? value() : value) ?? 'ERROR:4:unrecognized command'}\n`;
  });
  return frame(messageTypes.info, Buffer.from(lines.join('')));
}

export function frame(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header[0] = 2;
  header[1] = type;
  header.writeUIntBE(body.length, 2, 6);
  return Buffer.concat([header, body]);
}

/** One answer without its frame. */
export function answer(index: number, code: number, last = false): Buffer {
  const body = Buffer.alloc(22);
  body[0] = 22;
  body[3] = last ? 1 : 0;
  body[5] = code;
  body.writeUInt32BE(1, 6);
  body.writeUInt32BE(index, 14);
  return body;
}

/** Answers a batch: each record with its code, and the end. */
export function batchAnswer(codes: readonly number[], end = 0): Buffer {
  return frame(
    messageTypes.record,
    Buffer.concat([...codes.map((code, index) => answer(index, code)), answer(0, end, true)]),
  );
}

/** The records of a batch of writes. */
export function recordsOf(message: Buffer): Asked[] {
  const fieldsAt = 8 + 22;
  const count = message.readUInt32BE(fieldsAt + 5);
  const records: Asked[] = [];
  let at = fieldsAt + 10;
  for (let i = 0; i < count; i++) {
    const index = message.readUInt32BE(at);
    const digest = message.subarray(at + 4, at + 24).toString('hex');
    const start = at + 24;
    at = start + 1;
    if (message[start] !== 1) {
      let parts = message.readUInt16BE(start + 10) + message.readUInt16BE(start + 12);
      at = start + 14;
      for (; parts > 0; parts--) at += 4 + message.readUInt32BE(at);
    }
    records.push({
      index,
      digest,
      rest: message[start] === 1 ? 'repeat' : message.subarray(start, at).toString('hex'),
    });
  }
  if (at !== message.length) throw new Error(`${message.length - at} bytes behind the last record`);
  return records;
}
