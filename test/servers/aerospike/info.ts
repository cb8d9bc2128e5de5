import { connect } from 'node:net';

const protocol = 2;
const infoType = 1;
const headerBytes = 8;

/**
 * Asks a node one thing over its info protocol, which needs no client: `statistics`, `set-config:...`, `truncate:...`.
 * @throws when the node does not answer within `timeout` milliseconds.
 */
export async function info(host: string, command: string, timeout = 5_000): Promise<string> {
  const { hostname, port } = new URL(`aerospike://${host}`);
  const body = Buffer.from(`${command}\n`);
  const header = Buffer.alloc(headerBytes);
  header.writeBigUInt64BE((BigInt(protocol) << 56n) | (BigInt(infoType) << 48n) | BigInt(body.length));
  const answer = await new Promise<Buffer>((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socket = connect(Number(port), hostname, () => socket.write(Buffer.concat([header, body])));
    socket.setTimeout(timeout, () => socket.destroy(new Error(`${host} does not answer ${command}`)));
    socket.once('error', reject).once('close', () => reject(new Error(`${host} closed the connection: ${command}`)));
    socket.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece]);
      if (received.length < headerBytes) return;
      const length = received.readUIntBE(2, 6);
      if (received.length < headerBytes + length) return;
      resolve(received.subarray(headerBytes, headerBytes + length));
      socket.destroy();
    });
  });
  const text = answer.toString().trimEnd();
  return text.slice(text.indexOf('\t') + 1);
}

/** The `name=value` pairs of an answer such as that to `statistics`. */
export async function figures(host: string, command: string, timeout?: number): Promise<ReadonlyMap<string, string>> {
  const text = await info(host, command, timeout);
  return new Map(
    text.split(';').map((pair): [string, string] => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
