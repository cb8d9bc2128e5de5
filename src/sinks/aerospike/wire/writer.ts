const first = 16 * 1024;
const lastAscii = 0x7f;
/** Characters up to which a loop in JavaScript is faster than a call of the encoder. */
const short = 48;
const halfPair = /\p{Surrogate}/u;

/** A value that has no form in the database. */
export class Unwritable extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Bytes in the making. The buffer grows, and is used again for the next message. */
export class Writer {
  bytes: Buffer;
  /** Where the next byte goes. */
  at = 0;

  constructor(size = first) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** Makes room for so many more bytes. To be called before `bytes` is taken into a variable. */
  reserve(more: number): void {
    const needed = this.at + more;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.at++] = value;
  }

  uint16(value: number): void {
    this.reserve(2);
    this.bytes[this.at++] = value >>> 8;
    this.bytes[this.at++] = value;
  }

  uint32(value: number): void {
    this.reserve(4);
    this.setUint32(this.at, value);
    this.at += 4;
  }

  /** Overwrites four bytes written before. */
  setUint32(at: number, value: number): void {
    const { bytes } = this;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
  }

  /** A whole number within the range of 64 bits with a sign. */
  int64(value: number): void {
    this.uint32(Math.floor(value / 0x1_0000_0000));
    this.uint32(value);
  }

  bigInt64(value: bigint): void {
    this.reserve(8);
    this.at = this.bytes.writeBigInt64BE(value, this.at);
  }

  double(value: number): void {
    this.reserve(8);
    this.at = this.bytes.writeDoubleBE(value, this.at);
  }

  raw(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.at);
    this.at += source.length;
  }

  /**
   * A text as UTF-8. Resolves to its length in bytes.
   * @throws Unwritable for half of a surrogate pair, which is no character.
   */
  text(text: string): number {
    const { length } = text;
    if (length <= short) {
      this.reserve(length);
      const { bytes, at } = this;
      let i = 0;
      for (; i < length; i++) {
        const unit = text.charCodeAt(i);
        if (unit > lastAscii) break;
        bytes[at + i] = unit;
      }
      if (i === length) {
        this.at = at + length;
        return length;
      }
    }
    return this.#longText(text);
  }

  #longText(text: string): number {
    this.reserve(text.length * 3);
    const written = this.bytes.write(text, this.at, 'utf8');
    // Every character beyond ASCII takes more bytes than units, so that only such a text can hold half a pair.
    if (written !== text.length && halfPair.test(text)) {
      throw new Unwritable('not-unicode', 'has half of a surrogate pair, which is no character');
    }
    this.at += written;
    return written;
  }
}
