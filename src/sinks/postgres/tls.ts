import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { ConfigError, SinkError, SluiceError } from '../../errors.js';
import { type Address, describeServer } from './address.js';

/** One way to connect: in the clear, or with TLS. */
export type Encryption = false | ConnectionOptions;

/**
 * The ways to connect that sslmode allows, in the order libpq tries them; a later one is for a server that refused the
 * former (see `mayFallBack`). Asks the server, by a connection of its own, whether it speaks TLS at all.
 * @throws ConfigError when a certificate or key can't be read, SinkError when the server has no TLS but must.
 */
export async function encryptions(address: Address, signal: AbortSignal): Promise<readonly Encryption[]> {
  // As in libpq, sslmode means nothing on a Unix socket.
  if (address.sslmode === 'disable' || address.host.startsWith('/')) return [false];
  const options = await tlsOptions(address);
  const offered = await offersTls(address, signal);
  switch (address.sslmode) {
    case 'allow':
      return offered ? [false, options] : [false];
    case 'prefer':
      return offered ? [options, false] : [false];
    default:
      if (offered) return [options];
      throw new SinkError(
        'no-tls',
        `the server at ${describeServer(address)} does not speak TLS, which sslmode=${address.sslmode} demands: turn on ssl there, or use sslmode=prefer`,
      );
  }
}

/** Whether an attempt's failure says that this way is closed, not the server: by pg_hba.conf, or by TLS itself. */
export function mayFallBack(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code === '28000' || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_');
}

/** Certificates by the paths of the address, else from where libpq looks for them (~/.postgresql). */
async function tlsOptions(address: Address): Promise<ConnectionOptions> {
  const { sslmode, sslrootcert } = address;
  const system = sslrootcert === 'system';
  const [ca, cert, key] = await Promise.all([
    system ? undefined : certificate(sslrootcert, 'root.crt', 'sslrootcert'),
    certificate(address.sslcert, 'postgresql.crt', 'sslcert'),
    certificate(address.sslkey, 'postgresql.key', 'sslkey'),
  ]);
  const client = cert === undefined ? {} : { cert, key };
  const verified = sslmode === 'verify-full' || sslmode === 'verify-ca' || (sslmode === 'require' && ca !== undefined);
  if (!verified) return { ...client, rejectUnauthorized: false };
  if (ca === undefined && !system) {
    throw new ConfigError(
      'no-root-certificate',
      `sslmode=${sslmode} needs a root certificate: give sslrootcert=FILE, or sslrootcert=system for the roots Node.js trusts, or put it in ~/.postgresql/root.crt`,
    );
  }
  const trust: ConnectionOptions = { ...client, rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) };
  // verify-ca asks who signed the certificate, not whose name it bears.
  return sslmode === 'verify-full' ? trust : { ...trust, checkServerIdentity: () => undefined };
}

async function certificate(path: string | undefined, usual: string, option: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path ?? join(homedir(), '.postgresql', usual));
  } catch (error) {
    if (path === undefined) return undefined;
    throw new ConfigError('bad-certificate', `the file given as ${option} can't be read: ${path}`, { cause: error });
  }
}

/** SSLRequest: its own length, then the code 1234.5679 (PostgreSQL's protocol, "SSL Session Encryption"). */
export const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

async function offersTls(address: Address, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  const socket = connect(address.port, address.host);
  const abort = () => socket.destroy(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    return await new Promise<boolean>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => socket.write(sslRequest));
      // `S` or `N`; a server too busy for a connection may answer with an error, which the real attempt will meet.
      socket.once('data', (answer) => resolve(answer[0] === 0x53));
      socket.once('close', () =>
        reject(new SluiceError('connection-lost', `${describeServer(address)} hung up when asked for TLS`)),
      );
    });
  } finally {
    signal.removeEventListener('abort', abort);
    socket.on('error', () => {});
    socket.destroy();
  }
}
