import { checkBigInt, isInteger } from './msgpack.js';
import { particle, partitions } from './protocol.js';
import { ripemd160 } from './ripemd160.js';
import { Unwritable, Writer } from './writer.js';

/** A key as the database knows it. */
export type KeyValue = number | bigint | string | Uint8Array;

/** Padding of a digest's last block. */
const padding = 72;

/**
 * The key of one record at a time, and its digest: RIPEMD-160 of the set's name, the type byte of the key and its bytes.
 * Integer 5 and text "5" are different keys.
 */
export class KeyDigest {
  /** The digest: five words whose bytes stand in little-endian order. */
  readonly words = new Int32Array(5);
  readonly #writer = new Writer(1024);
  readonly #prefix: number;
  #type = 0;
  #end = 0;

  constructor(set: string) {
    this.#writer.text(set);
    this.#prefix = this.#writer.at;
  }

  /** Particle type of the key. */
  get type(): number {
    return this.#type;
  }

  /** The partition of 4,096 that the record belongs to. */
  get partition(): number {
    return this.words[0]! & (partitions - 1);
  }

  /** The key's bytes, until the next one is made. */
  get bytes(): Uint8Array {
    return this.#writer.bytes.subarray(this.#prefix + 1, this.#end);
  }

  /** @throws Unwritable when the value can be no key. */
  digest(key: KeyValue): void {
    const writer = this.#writer;
    writer.at = this.#prefix + 1;
    if (typeof key === 'number') {
      if (!isInteger(key)) throw new Unwritable('wrong-key-type', 'is a number that is no integer of 64 bits');
      writer.int64(key);
      this.#type = particle.integer;
    } else if (typeof key === 'string') {
      writer.text(key);
      this.#type = particle.string;
    } else if (typeof key === 'bigint') {
      writer.bigInt64(checkBigInt(key));
      this.#type = particle.integer;
    } else {
      writer.raw(key);
      this.#type = particle.bytes;
    }
    this.#end = writer.at;
    writer.reserve(padding);
    writer.bytes[this.#prefix] = this.#type;
    ripemd160(this.words, writer.bytes, this.#end);
  }
}
