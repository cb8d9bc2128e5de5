import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';

/** A request as the server saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The body as sent. */
  readonly body: string;
  /** Milliseconds on the monotonic clock. */
  readonly at: number;
  /** How many requests came before this one. */
  readonly index: number;
}

/** What the server is to do. */
export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes and strings are sent as they are, anything else as JSON. */
  readonly body?: unknown;
  /** Milliseconds to wait before answering. */
  readonly delay?: number;
  /** Send so many bytes of the body, then end the connection. -1 ends it before the headers. */
  readonly cutAfter?: number;
  /** Never answer. */
  readonly hang?: boolean;
}

/** A real HTTP server that does what real APIs do wrong, as a function tells it. */
export interface TroubledApi extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** Requests that were being answered at the same time, at most. */
  readonly mostAtOnce: number;
  /** Requests whose client went away before it had the whole answer. */
  readonly abandoned: number;
  readonly connections: number;
}

export async function startTroubledApi(reply: (request: SeenRequest) => Reply | Promise<Reply>): Promise<TroubledApi> {
  const requests: SeenRequest[] = [];
  let now = 0;
  let mostAtOnce = 0;
  let abandoned = 0;
  let connections = 0;
  const server = createServer(async (incoming, outgoing) => {
    now++;
    mostAtOnce = Math.max(mostAtOnce, now);
    let cut = false;
    outgoing.on('close', () => {
      now--;
      if (!outgoing.writableFinished && !cut) abandoned++;
    });
    const seen = await see(incoming, requests.length);
    requests.push(seen);
    const { status = 200, headers, body, delay = 0, cutAfter, hang } = await reply(seen);
    if (hang) return;
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    const bytes = bytesOf(body);
    if (cutAfter === undefined) {
      outgoing.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, ...headers });
      outgoing.end(bytes);
      return;
    }
    cut = true;
    if (cutAfter < 0) {
      incoming.socket.destroy();
      return;
    }
    outgoing.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, ...headers });
    outgoing.write(bytes.subarray(0, cutAfter), () => incoming.socket.destroy());
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the troubled API has no port');
  return {
    url: `http://127.0.0.1:${address.port}/items`,
    requests,
    get mostAtOnce() {
      return mostAtOnce;
    },
    get abandoned() {
      return abandoned;
    },
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function see(incoming: IncomingMessage, index: number): Promise<SeenRequest> {
  const at = performance.now();
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(piece);
  const url = new URL(incoming.url ?? '/', 'http://localhost');
  return {
    method: incoming.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    headers: incoming.headers,
    body: Buffer.concat(pieces).toString(),
    at,
    index,
  };
}

function bytesOf(body: unknown): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Records `{ id, name }` with ids from `from` on. */
export function people(count: number, from = 1): { id: number; name: string }[] {
  return Array.from({ length: count }, (_, i) => ({ id: from + i, name: `person ${from + i}` }));
}

/** The page a request asks for by `page` and `size`, numbered from 1. */
export function pageOf<T>(records: readonly T[], query: URLSearchParams, size = Number(query.get('size') ?? 10)): T[] {
  const start = (Number(query.get('page') ?? 1) - 1) * size;
  return records.slice(start, start + size);
}
