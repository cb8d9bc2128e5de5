import { connect, createServer, type Socket } from 'node:net';

/** A line to a server that can be watched and cut. */
export interface Line extends AsyncDisposable {
  readonly url: string;
  /** Called with all that a client sends, and the number of its connection; returns false to cut the line before it is passed on. */
  onSent: (data: Buffer, connection: number) => boolean;
  /** Called with all that the server sends; returns false to cut the line before it is passed on. */
  onAnswer: (data: Buffer) => boolean;
  /** Nothing passes any more, and nobody is told. */
  frozen: boolean;
  /** The same for the connections that are open now, and no others. */
  freezeOpen(): void;
}

export async function lineTo(target: string): Promise<Line> {
  const { hostname, port } = new URL(target);
  const url = new URL(target);
  const open = new Set<Socket>();
  const still = new Set<Socket>();
  let connections = 0;
  const server = createServer((client) => {
    const connection = connections++;
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
    }
    const pass = (from: Socket, to: Socket, allowed: (data: Buffer) => boolean) =>
      from.on('data', (data: Buffer) => {
        if (line.frozen || still.has(from)) return;
        if (allowed(data)) {
          to.write(data);
          return;
        }
        client.destroy();
        upstream.destroy();
      });
    pass(client, upstream, (data) => line.onSent(data, connection));
    pass(upstream, client, (data) => line.onAnswer(data));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  url.port = String(address.port);
  const line: Line = {
    url: url.href,
    onSent: () => true,
    onAnswer: () => true,
    frozen: false,
    freezeOpen() {
      for (const socket of open) still.add(socket);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return line;
}
