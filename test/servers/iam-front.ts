import { createHash, createHmac } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { type SecureContextOptions, TLSSocket } from 'node:tls';

/** The keys that the front knows, as IAM would. */
export const iamKeys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };

/** What a front that asks for tokens has seen. */
export interface IamFront extends AsyncDisposable {
  readonly port: number;
  /** Every password that was sent, and why it was not taken, where it was not. */
  readonly tokens: readonly { readonly text: string; readonly wrong: string | undefined }[];
  /** Connections that came without TLS, beyond the question for it. */
  readonly plain: number;
  /** Takes no token, whatever it is. */
  refuse: boolean;
}

const sslRequest = 80877103;
const cancelRequest = 80877102;

/**
 * Stands before a PostgreSQL server that trusts everyone, as RDS does before its own: it demands TLS and asks for a password in
 * the clear, which has to be a token as AWS defines it (docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html).
 */
export async function startIamFront(target: string, tls: SecureContextOptions, region: string): Promise<IamFront> {
  const { hostname, port } = new URL(target);
  const tokens: { text: string; wrong: string | undefined }[] = [];
  const open = new Set<Socket>();
  let plain = 0;

  function keep(socket: Socket): void {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
  }

  function passOn(client: Socket, first: Buffer): void {
    const upstream = connect(Number(port), hostname);
    keep(upstream);
    upstream.write(first);
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  }

  function authenticate(client: Socket): void {
    const next = messages(client);
    next(4, (startup) => {
      if (startup.readInt32BE(4) === cancelRequest) {
        passOn(client, startup);
        return;
      }
      // AuthenticationCleartextPassword.
      client.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
      next(5, (message) => {
        const text = message.subarray(5, -1).toString();
        const user = /\0user\0([^\0]*)\0/.exec(startup.toString('latin1'))?.[1] ?? '';
        const wrong = front.refuse ? 'refused' : faultOf(text, { user, region, port: front.port });
        tokens.push({ text, wrong });
        if (wrong === undefined) passOn(client, startup);
        else client.end(refusal(`PAM authentication failed for user "${user}"`));
      });
    });
  }

  const server = createServer((socket) => {
    keep(socket);
    socket.once('data', (data: Buffer) => {
      if (data.readInt32BE(4) !== sslRequest) {
        plain += 1;
        socket.destroy();
        return;
      }
      socket.write('S');
      const encrypted = new TLSSocket(socket, { isServer: true, ...tls });
      keep(encrypted);
      authenticate(encrypted);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const front: IamFront = {
    port: address.port,
    tokens,
    get plain() {
      return plain;
    },
    refuse: false,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
  return front;
}

/** Hands over the next message once it is whole: `head` bytes, whose last four are the length that follows a type's byte. */
function messages(socket: Socket): (head: number, done: (message: Buffer) => void) => void {
  let held = Buffer.alloc(0);
  return (head, done) => {
    const look = () => {
      if (held.length < head) return;
      const length = held.readInt32BE(head - 4) + head - 4;
      if (held.length < length) return;
      socket.off('data', more);
      socket.pause();
      const message = held.subarray(0, length);
      held = held.subarray(length);
      done(message);
    };
    const more = (data: Buffer) => {
      held = Buffer.concat([held, data]);
      look();
    };
    socket.on('data', more);
    socket.resume();
    look();
  };
}

function refusal(message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C28000\0M${message}\0\0`);
  const head = Buffer.from([0x45, 0, 0, 0, 0]);
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

/** Why a token is not the one that AWS would take: its signature is worked out anew (Signature Version 4, in a query). */
function faultOf(token: string, expected: { user: string; region: string; port: number }): string | undefined {
  const url = URL.canParse(`https://${token}`) ? new URL(`https://${token}`) : undefined;
  if (url === undefined) return 'not a token';
  const given = Object.fromEntries(url.searchParams);
  const date = given['X-Amz-Date'] ?? '';
  const scope = `${date.slice(0, 8)}/${expected.region}/rds-db/aws4_request`;
  if (given.Action !== 'connect' || given.DBUser !== expected.user) return `for ${given.DBUser}`;
  if (url.hostname !== 'localhost' || url.port !== String(expected.port)) return `for ${url.host}`;
  if (given['X-Amz-Credential'] !== `${iamKeys.accessKeyId}/${scope}`) return `by ${given['X-Amz-Credential']}`;
  const age = Date.now() - Date.parse(date.replace(/(....)(..)(..T..)(..)(..Z)/, '$1-$2-$3:$4:$5'));
  if (!(Math.abs(age) < Number(given['X-Amz-Expires']) * 1000)) return 'too old';
  const query = [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&');
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const canonical = `GET\n/\n${query}\nhost:${url.host}\n\nhost\n${hash('')}`;
  const toSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash(canonical)}`;
  let key: string | Buffer = `AWS4${iamKeys.secretAccessKey}`;
  for (const part of [...scope.split('/'), toSign]) key = createHmac('sha256', key).update(part).digest();
  return key.toString('hex') === given['X-Amz-Signature'] ? undefined : 'the signature is wrong';
}
