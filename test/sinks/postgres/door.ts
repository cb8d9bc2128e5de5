import { connect, createServer, type Server, type Socket } from 'node:net';

/** What somebody meets who comes through the door. */
type Mood =
  /** Whatever the target answers. */
  | 'open'
  /** Nobody answers, and nobody hangs up: a cluster that is paused, or resuming. */
  | 'silent'
  /** An error of the server's with this SQLSTATE, in place of a greeting. */
  | { readonly says: string };

/** An address of servers that come and go behind it, as a cluster's name is one. */
export interface Door extends AsyncDisposable {
  readonly url: string;
  mood: Mood;
  /** Who comes from now on is led there; who is through already stays where he is. */
  leadTo(target: string): void;
  /** Cuts every connection that is through. */
  cut(): void;
  /** Refuses connections until opened again. */
  shut(): Promise<void>;
  reopen(): Promise<void>;
  /** Connections that came. */
  readonly came: number;
}

export async function doorTo(first: string, host = '127.0.0.1'): Promise<Door> {
  let target = new URL(first);
  let came = 0;
  const open = new Set<Socket>();
  const keep = (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
  };
  const come = (client: Socket) => {
    came += 1;
    keep(client);
    const { mood } = door;
    if (mood === 'silent') return;
    if (mood === 'open') {
      const upstream = connect(Number(target.port), target.hostname);
      keep(upstream);
      client.pipe(upstream).pipe(client);
      client.on('close', () => upstream.destroy());
      upstream.on('close', () => client.destroy());
      return;
    }
    client.once('data', () => client.end(refusal(mood.says)));
  };
  let server: Server | undefined;
  const listen = async (port: number) => {
    server = createServer(come);
    await new Promise<void>((resolve, reject) => server!.once('error', reject).listen(port, host, resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  };
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  const shut = async () => {
    const closed = new Promise((resolve) => server?.close(resolve));
    cut();
    await closed;
  };
  const url = new URL(first);
  url.hostname = host;
  url.port = String(await listen(0));
  const door: Door = {
    url: url.href,
    mood: 'open',
    get came() {
      return came;
    },
    leadTo(next) {
      target = new URL(next);
    },
    cut,
    shut,
    reopen: async () => void (await listen(Number(url.port))),
    [Symbol.asyncDispose]: shut,
  };
  return door;
}

/** ErrorResponse of PostgreSQL's protocol. */
function refusal(code: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0Mnot now\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
