import { SluiceError } from '../../../errors.js';
import { frameHeader, messageHeader, messageType, protocolVersion } from './protocol.js';

/** Bytes a frame may have. A server's answers to writes come in frames of about 128 KiB, maps of partitions are smaller. */
const longestFrame = 4 * 1024 * 1024;

/** What came is not what the protocol says: nothing more that comes on that connection can be trusted. */
export function protocolFault(what: string): SluiceError {
  return new SluiceError('protocol-fault', `the server's answer can't be read: ${what}`);
}

/** Cuts what comes on a connection into frames. */
export class FrameReader {
  #held: Buffer | undefined;

  /**
   * Calls `take` with each whole frame's type and body. The body is to be read before `take` returns, and `chunk` is the
   * caller's again after that.
   * @throws SluiceError `protocol-fault`, and what `take` throws.
   */
  read(chunk: Buffer, take: (type: number, body: Buffer) => void): void {
    let bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = undefined;
    while (bytes.length >= frameHeader) {
      const length = checkHeader(bytes);
      const end = frameHeader + length;
      if (bytes.length < end) break;
      take(bytes[1]!, bytes.subarray(frameHeader, end));
      bytes = bytes.subarray(end);
    }
    if (bytes.length > 0) this.#held = Buffer.from(bytes);
  }
}

function checkHeader(bytes: Buffer): number {
  if (bytes[0] !== protocolVersion) throw protocolFault(`version ${bytes[0]} where ${protocolVersion} was expected`);
  const type = bytes[1];
  if (type !== messageType.info && type !== messageType.admin && type !== messageType.record) {
    throw protocolFault(`a message of unknown type ${type}`);
  }
  const length = bytes.readUIntBE(2, 6);
  if (length > longestFrame) throw protocolFault(`a message of ${length} bytes`);
  return length;
}

/** The body of a frame that asks or answers, with its frame. */
export function frame(type: number, body: Uint8Array): Buffer {
  const whole = Buffer.allocUnsafe(frameHeader + body.length);
  whole[0] = protocolVersion;
  whole[1] = type;
  whole.writeUIntBE(body.length, 2, 6);
  whole.set(body, frameHeader);
  return whole;
}

/** Takes one record's answer: its number in a batch, its result code, and whether no more will come. */
export type TakeAnswer = (index: number, code: number, last: boolean) => void;

/**
 * Reads the answers in the body of a frame: of a batch, there may be many.
 * @throws SluiceError `protocol-fault` when a length leads out of the body.
 */
export function readAnswers(body: Buffer, take: TakeAnswer): void {
  let at = 0;
  while (at < body.length) {
    if (body.length - at < messageHeader) throw protocolFault('it ends within a header');
    if (body[at] !== messageHeader) throw protocolFault(`a header of ${body[at]} bytes`);
    const third = body[at + 3]!;
    const code = body[at + 5]!;
    const index = body.readUInt32BE(at + 14);
    // Fields and operations alike begin with the length of what follows.
    let parts = body.readUInt16BE(at + 18) + body.readUInt16BE(at + 20);
    at += messageHeader;
    for (; parts > 0; parts--) {
      if (body.length - at < 4) throw protocolFault('it ends within a field');
      const length = body.readUInt32BE(at);
      at += 4;
      if (length > body.length - at)
        throw protocolFault(`a field of ${length} bytes where ${body.length - at} are left`);
      at += length;
    }
    take(index, code, (third & 1) !== 0);
  }
}
