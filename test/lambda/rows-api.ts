import { createServer } from 'node:http';

/** A listing of made-up records in numbered pages, as many as asked for; gone when disposed. */
export interface RowsApi extends AsyncDisposable {
  readonly url: string;
  /** Pages it was asked for. */
  readonly pages: number;
}

/** Pages of 1,000; each answer takes `delay` milliseconds. */
export async function startRowsApi(rows: number, delay = 0): Promise<RowsApi> {
  let pages = 0;
  const server = createServer((request, response) => {
    pages += 1;
    const page = Number(new URL(request.url ?? '/', 'http://localhost').searchParams.get('page'));
    const first = (page - 1) * 1_000;
    const ids = Array.from({ length: Math.max(0, Math.min(1_000, rows - first)) }, (_, i) => first + i + 1);
    const items = ids.map((id) => `{"id":${id},"name":"record ${id}","amount":${id}.50}`);
    const send = () =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'x-total-count': String(rows) })
        .end(`[${items.join(',')}]`);
    if (delay > 0) setTimeout(send, delay);
    else send();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the API has no port');
  return {
    url: `http://127.0.0.1:${address.port}/rows`,
    get pages() {
      return pages;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}
