// @ts-check
/**
 * A line of some length and width to a TCP server, in a process of its own, until standard input ends. Run as
 * `node slow-line-server.js <host> <port> <round trip in ms> <megabytes a second, 0 for no bound>`; prints its port.
 *
 * What is sent arrives half a round trip later, in order. All connections share the width, one for each direction, as they would
 * share a router: what comes waits for its turn. A sender may be 1 MiB ahead, as through the window of a TCP connection.
 */
import { connect, createServer } from 'node:net';

const [host = '', port = '', trip = '0', megabytes = '0'] = process.argv.slice(2);
const roundTrip = Number(trip);
const bytesPerMs = Number(megabytes) * 1000;
const ahead = 1024 * 1024;

/** When each direction is free again. */
const freeAt = { there: 0, back: 0 };

const server = createServer({ allowHalfOpen: true }, (client) => {
  const upstream = connect({ host, port: Number(port), allowHalfOpen: true });
  for (const [socket, other] of /** @type {const} */ ([
    [client, upstream],
    [upstream, client],
  ])) {
    socket.setNoDelay(true);
    socket.on('error', () => other.destroy());
    socket.on('close', () => other.destroy());
  }
  // The handshake: what the client sends first comes a whole round trip later than the rest would.
  pass(client, upstream, 'there', performance.now() + roundTrip);
  pass(upstream, client, 'back', 0);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address !== 'string') console.log(address.port);
});
process.stdin.resume().on('end', () => process.exit());

/**
 * @param {import('node:net').Socket} from
 * @param {import('node:net').Socket} to
 * @param {'there' | 'back'} direction
 * @param {number} notBefore
 */
function pass(from, to, direction, notBefore) {
  /** @type {{ at: number, data: Buffer | undefined }[]} */
  const queue = [];
  let queued = 0;
  let waiting = false;

  /** @param {Buffer | undefined} data undefined: the end */
  const put = (data) => {
    const now = performance.now();
    if (bytesPerMs > 0) freeAt[direction] = Math.max(now, freeAt[direction]) + (data?.length ?? 0) / bytesPerMs;
    const sentAt = bytesPerMs > 0 ? freeAt[direction] : now;
    queue.push({ at: Math.max(sentAt + roundTrip / 2, notBefore), data });
    queued += data?.length ?? 0;
    if (queued > ahead) from.pause();
    if (!waiting) deliver();
  };

  const deliver = () => {
    waiting = false;
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      const left = next.at - performance.now();
      // A timer is no finer than a millisecond: less is not waited for, and more is, by as much as it is late on average.
      if (left > 0.5) {
        waiting = true;
        setTimeout(deliver, Math.max(1, Math.floor(left)));
        return;
      }
      queue.shift();
      if (next.data === undefined) {
        to.end();
      } else {
        queued -= next.data.length;
        if (queued <= ahead) from.resume();
        if (!to.destroyed) to.write(next.data);
      }
    }
  };

  from.on('data', put);
  from.on('end', () => put(undefined));
}
