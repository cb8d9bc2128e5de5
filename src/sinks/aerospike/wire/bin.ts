import { isLosslessNumber, JsonText } from '../../../formats/json.js';
import { checkBigInt, checkDouble, dateText, isInteger, packList, packMap, plainNumber } from './msgpack.js';
import { particle } from './protocol.js';
import { Unwritable, type Writer } from './writer.js';

/**
 * Writes a bin's value as the particle it is, and gives its type.
 * @throws Unwritable when the database has no form for it.
 */
export function writeParticle(writer: Writer, value: unknown): number {
  switch (typeof value) {
    case 'string':
      writer.text(value);
      return particle.string;
    case 'number':
      return writeNumber(writer, value);
    case 'bigint':
      writer.bigInt64(checkBigInt(value));
      return particle.integer;
    case 'boolean':
      writer.byte(value ? 1 : 0);
      return particle.boolean;
    case 'object':
      return writeObject(writer, value);
    case 'undefined':
      throw new Unwritable('undefined-value', 'is undefined, which is no value; null is one');
    default:
      throw new Unwritable('unsupported-value', `is a ${typeof value}, which is no value`);
  }
}

function writeNumber(writer: Writer, value: number): number {
  if (isInteger(value)) {
    writer.int64(value);
    return particle.integer;
  }
  writer.double(checkDouble(value));
  return particle.double;
}

function writeObject(writer: Writer, value: object | null): number {
  if (value === null) return particle.null;
  if (Array.isArray(value)) {
    packList(writer, value, 1);
    return particle.list;
  }
  if (value instanceof Uint8Array) {
    writer.raw(value);
    return particle.bytes;
  }
  if (value instanceof JsonText) {
    writer.text(value.text);
    return particle.string;
  }
  if (value instanceof Date) {
    writer.text(dateText(value));
    return particle.string;
  }
  if (!isLosslessNumber(value)) {
    packMap(writer, value, 1);
    return particle.map;
  }
  const plain = plainNumber(value);
  if ('integer' in plain) {
    writer.bigInt64(plain.integer);
    return particle.integer;
  }
  writer.double(plain.double);
  return particle.double;
}
