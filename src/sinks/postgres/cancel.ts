import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Address } from './address.js';
import { type Encryption, sslRequest } from './tls.js';

/** What the server told a connection at its start, for others to cancel what it does. */
export interface CancelKey {
  readonly processID: number;
  readonly secretKey: number;
}

/**
 * Asks the server, by a short connection of its own, to end what a connection is at; whether it did, that connection
 * tells. Resolves when the server has hung up, by which time it has passed the request on. Never rejects.
 * CancelRequest: length 16, code 1234.5678, process, key (PostgreSQL's protocol, "Canceling Requests in Progress").
 */
export async function requestCancel(
  address: Address,
  ssl: Encryption,
  key: CancelKey,
  signal: AbortSignal,
): Promise<void> {
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(80877102, 4);
  request.writeInt32BE(key.processID, 8);
  request.writeInt32BE(key.secretKey, 12);
  const { host, port } = address;
  const raw = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  const hangUp = () => raw.destroy();
  signal.addEventListener('abort', hangUp);
  try {
    if (signal.aborted) raw.destroy();
    const closed = once(raw, 'close');
    closed.catch(() => {});
    await once(raw, 'connect', { signal });
    const socket = ssl === false ? raw : await secured(raw, host, ssl, signal);
    socket.on('error', () => {});
    socket.end(request);
    socket.resume();
    await closed;
  } catch {
    // The connection that was to be cancelled is hung up when it goes on without an answer.
  } finally {
    signal.removeEventListener('abort', hangUp);
    raw.on('error', () => {});
    raw.destroy();
  }
}

async function secured(
  raw: Socket,
  host: string,
  ssl: Exclude<Encryption, false>,
  signal: AbortSignal,
): Promise<Socket> {
  raw.write(sslRequest);
  await once(raw, 'data', { signal });
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = connectTls({ host, ...name, ...ssl, socket: raw });
  await once(socket, 'secureConnect', { signal });
  return socket;
}
