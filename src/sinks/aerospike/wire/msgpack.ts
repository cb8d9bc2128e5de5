import { isLosslessNumber, JsonText, type LosslessNumber } from '../../../formats/json.js';
import { particle } from './protocol.js';
import { Unwritable, type Writer } from './writer.js';

const least = -(2n ** 63n);
const most = 2n ** 63n - 1n;
const mostNumber = 2 ** 63;
/** Lists and maps within one another; what is deeper is taken for a value that holds itself. */
const deepest = 100;

/** Type byte before the text or the bytes of a value within a list or map. */
const textByte = particle.string;
const bytesByte = particle.bytes;
/** A map whose entries are in the order of their keys says so in its first entry: an extension of no bytes, and nil. */
const keyOrdered = Uint8Array.of(0xc7, 0, 1, 0xc0);

/** Whether a number goes as an integer. */
export function isInteger(value: number): boolean {
  return Number.isInteger(value) && value >= -mostNumber && value < mostNumber;
}

/** @throws Unwritable when it is beyond 64 bits. */
export function checkBigInt(value: bigint): bigint {
  if (value >= least && value <= most) return value;
  throw new Unwritable('integer-out-of-range', 'is an integer beyond 64 bits, which the database has no type for');
}

/** @throws Unwritable when it is NaN. */
export function checkDouble(value: number): number {
  if (Number.isNaN(value)) throw new Unwritable('not-a-number', 'is NaN, which is no value');
  return value;
}

/**
 * A number kept with its digits: with a point or an exponent a double, the nearest there is; else an integer.
 * @throws Unwritable when it is beyond either's range.
 */
export function plainNumber({ value }: LosslessNumber): { readonly integer: bigint } | { readonly double: number } {
  if (/^-?\d+$/.test(value)) return { integer: checkBigInt(BigInt(value)) };
  const double = Number(value);
  if (Number.isFinite(double)) return { double };
  throw new Unwritable('number-out-of-range', 'is a number too large for a double, the only type for it');
}

/**
 * A value within a list or map, in MessagePack with Aerospike's type byte before texts and bytes.
 * @throws Unwritable when the database has no form for it.
 */
function packValue(writer: Writer, value: unknown, depth: number): void {
  switch (typeof value) {
    case 'string':
      packText(writer, value);
      return;
    case 'number':
      packNumber(writer, value);
      return;
    case 'bigint':
      packBigInt(writer, checkBigInt(value));
      return;
    case 'boolean':
      writer.byte(value ? 0xc3 : 0xc2);
      return;
    case 'object':
      packObject(writer, value, depth);
      return;
    case 'undefined':
      throw new Unwritable('undefined-value', 'holds undefined, which is no value; null is one');
    default:
      throw new Unwritable('unsupported-value', `holds a ${typeof value}, which is no value`);
  }
}

function packObject(writer: Writer, value: object | null, depth: number): void {
  if (value === null) writer.byte(0xc0);
  else if (Array.isArray(value)) packList(writer, value, depth + 1);
  else if (value instanceof Uint8Array) packBytes(writer, value);
  else if (isLosslessNumber(value)) {
    const plain = plainNumber(value);
    if ('integer' in plain) packBigInt(writer, plain.integer);
    else packDouble(writer, plain.double);
  } else if (value instanceof Date) packText(writer, dateText(value));
  else if (value instanceof JsonText) packText(writer, value.text);
  else packMap(writer, value, depth + 1);
}

export function packList(writer: Writer, list: readonly unknown[], depth: number): void {
  checkDepth(depth);
  const { length } = list;
  if (length < 16) writer.byte(0x90 | length);
  else packLength(writer, 0xdc, length);
  for (let i = 0; i < length; i++) packValue(writer, list[i], depth);
}

/** An object or a Map, in the order of its keys. A field of an object that is undefined is none. */
export function packMap(writer: Writer, map: object, depth: number): void {
  checkDepth(depth);
  const entries = map instanceof Map ? [...map] : entriesOf(map);
  const sorted = entries.map(([key, item]) => [checkKey(key), item] as const).sort(([a], [b]) => compareKeys(a, b));
  const length = sorted.length + 1;
  if (length < 16) writer.byte(0x80 | length);
  else packLength(writer, 0xde, length);
  writer.raw(keyOrdered);
  for (const [key, item] of sorted) {
    packValue(writer, key, depth);
    packValue(writer, item, depth);
  }
}

type MapKey = number | bigint | string | Uint8Array;

function entriesOf(object: object): [string, unknown][] {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) {
    const name = object.constructor?.name ?? 'unknown';
    throw new Unwritable('unsupported-value', `holds an object of class ${name}, which the database has no type for`);
  }
  return Object.entries(object).filter(([, item]) => item !== undefined);
}

function checkKey(key: unknown): MapKey {
  if (typeof key === 'string' || key instanceof Uint8Array) return key;
  if (typeof key === 'bigint') return checkBigInt(key);
  if (typeof key === 'number') return checkDouble(key);
  throw new Unwritable('unsupported-map-key', 'holds a map with a key that is neither a number, a text nor bytes');
}

/** The database's own order: integers, texts, bytes, doubles; each by value. */
function compareKeys(a: MapKey, b: MapKey): number {
  const order = rank(a) - rank(b);
  if (order !== 0) return order;
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

function rank(key: MapKey): number {
  if (typeof key === 'bigint') return 0;
  if (typeof key === 'number') return isInteger(key) ? 0 : 3;
  return typeof key === 'string' ? 1 : 2;
}

function checkDepth(depth: number): void {
  if (depth > deepest) {
    throw new Unwritable('too-deep', `holds lists or maps more than ${deepest} deep, or one that holds itself`);
  }
}

/** @throws Unwritable for an invalid date. */
export function dateText(date: Date): string {
  if (Number.isNaN(date.getTime())) throw new Unwritable('invalid-date', 'is an invalid date');
  return date.toISOString();
}

function packText(writer: Writer, text: string): void {
  const start = writer.at;
  // The length is that of the bytes: right away for ASCII, put right afterwards for others.
  let header = headerLength(text.length + 1);
  writer.reserve(header + 1);
  writer.at = start + header + 1;
  const length = writer.text(text) + 1;
  const needed = headerLength(length);
  if (needed !== header) {
    writer.reserve(needed - header);
    writer.bytes.copyWithin(start + needed + 1, start + header + 1, writer.at);
    writer.at += needed - header;
    header = needed;
  }
  const end = writer.at;
  writer.at = start;
  packTextLength(writer, length);
  writer.bytes[start + header] = textByte;
  writer.at = end;
}

function packBytes(writer: Writer, bytes: Uint8Array): void {
  packTextLength(writer, bytes.length + 1);
  writer.byte(bytesByte);
  writer.raw(bytes);
}

function headerLength(length: number): number {
  return length < 32 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5;
}

function packTextLength(writer: Writer, length: number): void {
  if (length < 32) writer.byte(0xa0 | length);
  else if (length < 0x100) {
    writer.byte(0xd9);
    writer.byte(length);
  } else packLength(writer, 0xda, length);
}

/** A length of 16 bits behind `type`, or of 32 behind the one after it. */
function packLength(writer: Writer, type: number, length: number): void {
  if (length < 0x1_0000) {
    writer.byte(type);
    writer.uint16(length);
  } else {
    writer.byte(type + 1);
    writer.uint32(length);
  }
}

function packNumber(writer: Writer, value: number): void {
  if (isInteger(value)) packInteger(writer, value);
  else packDouble(writer, checkDouble(value));
}

function packDouble(writer: Writer, value: number): void {
  writer.byte(0xcb);
  writer.double(value);
}

/** In as few bytes as it needs. */
function packInteger(writer: Writer, value: number): void {
  if (value >= 0) {
    if (value < 0x80) writer.byte(value);
    else if (value < 0x100) {
      writer.byte(0xcc);
      writer.byte(value);
    } else if (value < 0x1_0000) {
      writer.byte(0xcd);
      writer.uint16(value);
    } else if (value < 0x1_0000_0000) {
      writer.byte(0xce);
      writer.uint32(value);
    } else {
      writer.byte(0xcf);
      writer.int64(value);
    }
  } else if (value >= -0x20) writer.byte(value);
  else if (value >= -0x80) {
    writer.byte(0xd0);
    writer.byte(value);
  } else if (value >= -0x8000) {
    writer.byte(0xd1);
    writer.uint16(value);
  } else if (value >= -0x8000_0000) {
    writer.byte(0xd2);
    writer.uint32(value);
  } else {
    writer.byte(0xd3);
    writer.int64(value);
  }
}

function packBigInt(writer: Writer, value: bigint): void {
  if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) {
    packInteger(writer, Number(value));
    return;
  }
  writer.byte(value < 0n ? 0xd3 : 0xcf);
  writer.bigInt64(value);
}
