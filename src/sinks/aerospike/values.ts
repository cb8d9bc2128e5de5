import type { Cell } from '../../contract/index.js';
import { isLosslessNumber, JsonText, parseJson, stringifyJson } from '../../formats/json.js';
import type { KeyType, ValueType } from './options.js';
import { writeParticle } from './wire/bin.js';
import type { KeyValue } from './wire/key.js';
import { checkDouble, dateText } from './wire/msgpack.js';
import { particle } from './wire/protocol.js';
import { Unwritable, type Writer } from './wire/writer.js';

/** Writes a bin's value, and gives the particle's type. @throws Unwritable. */
type WriteValue = (writer: Writer, value: Cell) => number;

/** How values of a bin are written that are to be of this type. Null removes the bin, whatever its type. */
export function writerOf(type: ValueType): WriteValue {
  const read = readers[type];
  if (read === undefined) return writeParticle;
  if (type === 'double') {
    return (writer, value) => {
      if (value === null) return particle.null;
      writer.double(readDouble(value));
      return particle.double;
    };
  }
  return (writer, value) => (value === null ? particle.null : writeParticle(writer, read(value)));
}

/** How a cell is read as a key of this type. @throws Unwritable when it can be no such key. */
export function keyReaderOf(type: KeyType): (cell: Cell) => KeyValue {
  if (type === 'integer') return readIntegerKey;
  if (type === 'string') return (cell) => (typeof cell === 'string' ? cell : scalarText(cell, 'wrong-key-type'));
  return type === 'bytes' ? readBytes : readKey;
}

const readers: Readonly<Record<ValueType, ((value: Cell) => unknown) | undefined>> = {
  auto: undefined,
  integer: readInteger,
  double: readDouble,
  string: readString,
  boolean: readBoolean,
  bytes: readBytes,
  json: readJson,
};

function readKey(cell: Cell): KeyValue {
  if (typeof cell === 'string' || typeof cell === 'number' || typeof cell === 'bigint' || cell instanceof Uint8Array) {
    return cell;
  }
  if (isLosslessNumber(cell)) return readIntegerKey(cell);
  throw new Unwritable('wrong-key-type', `is ${kindOf(cell)}: a key is an integer, a text or bytes`);
}

/**
 * Records of one key keep their order by the text of the key, so that an integer may be written in one way only: 007 and 7
 * could overtake each other.
 */
function readIntegerKey(cell: Cell): number | bigint {
  const key = readInteger(cell);
  const text = isLosslessNumber(cell) ? cell.value : cell;
  if (typeof text !== 'string' || text === String(key)) return key;
  throw new Unwritable('not-an-integer', `is an integer in other digits than its own: write ${key}`);
}

function readInteger(value: Cell): number | bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isInteger(value)) {
    if (Math.abs(value) < 2 ** 63) return value;
    throw new Unwritable('number-out-of-range', 'is a number too large for an integer of 64 bits');
  }
  const digits = isLosslessNumber(value) ? value.value : value;
  if (typeof digits === 'string') {
    if (/^[+-]?\d{1,15}$/.test(digits)) return Number(digits);
    if (/^[+-]?\d+$/.test(digits)) return BigInt(digits.startsWith('+') ? digits.slice(1) : digits);
    // 1.0 and 1e3 are whole numbers too; one with a fraction beyond what a number holds is none.
    if (
      isLosslessNumber(value) &&
      /^-?\d+(?:\.0*)?(?:[eE]\+?\d{1,2})?$/.test(digits) &&
      Number.isSafeInteger(Number(digits))
    )
      return Number(digits);
  }
  throw new Unwritable('not-an-integer', `is ${kindOf(value)}, not an integer`);
}

function readDouble(value: Cell): number {
  if (typeof value === 'number') return checkDouble(value);
  if (typeof value === 'bigint') return Number(value);
  const digits = isLosslessNumber(value) ? value.value : value;
  if (typeof digits === 'string' && /^[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)$/.test(digits)) {
    const double = Number(digits);
    if (Number.isFinite(double)) return double;
    throw new Unwritable('number-out-of-range', 'is a number too large for a double');
  }
  throw new Unwritable('not-a-double', `is ${kindOf(value)}, not a number`);
}

function readString(value: Cell): string {
  if (typeof value === 'string') return value;
  if (value instanceof JsonText) return value.text;
  if (typeof value === 'object' && !isLosslessNumber(value) && !(value instanceof Date)) {
    const text = value instanceof Uint8Array ? undefined : stringifyJson(value);
    if (text !== undefined) return text;
  }
  return scalarText(value, 'not-a-text');
}

function scalarText(value: Cell, code: string): string {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (isLosslessNumber(value)) return value.value;
  if (value instanceof Date) return dateText(value);
  throw new Unwritable(code, `is ${kindOf(value)}, not a text`);
}

function readBoolean(value: Cell): boolean {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') {
    if (/^(?:true|t|1)$/i.test(value)) return true;
    if (/^(?:false|f|0)$/i.test(value)) return false;
  }
  throw new Unwritable('not-a-boolean', `is ${kindOf(value)}, neither true nor false`);
}

function readBytes(value: Cell): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string' && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)) {
    return Buffer.from(value, 'base64');
  }
  throw new Unwritable('not-bytes', `is ${kindOf(value)}, neither bytes nor base64`);
}

function readJson(value: Cell): unknown {
  const text = value instanceof JsonText ? value.text : value;
  if (typeof text !== 'string') return value;
  try {
    return parseJson(text);
  } catch {
    throw new Unwritable('not-json', 'is a text that is not JSON');
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (isLosslessNumber(value)) return 'a number';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'string') return 'a text';
  return typeof value === 'object' ? 'a map' : `a ${typeof value}`;
}
