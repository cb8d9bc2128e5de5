/** About how long a value's JSON text would be, in bytes. Cheap: nothing is made, and nothing deeper than 8 levels is seen. */
export function approximateBytes(value: unknown, depth = 8): number {
  switch (typeof value) {
    case 'string':
      return value.length + 2;
    case 'number':
    case 'bigint':
      return 8;
    case 'object':
      break;
    default:
      return 4;
  }
  if (value === null) return 4;
  if (value instanceof Date) return 26;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (depth === 0) return 8;
  let bytes = 2;
  if (Array.isArray(value)) {
    for (const item of value) bytes += approximateBytes(item, depth - 1) + 1;
  } else {
    for (const [name, field] of Object.entries(value)) bytes += name.length + 4 + approximateBytes(field, depth - 1);
  }
  return bytes;
}

/** About how many bytes records are, judged by every 64th. */
export function sampledBytes(records: readonly unknown[]): number {
  let bytes = 0;
  let sampled = 0;
  for (let i = 0; i < records.length; i += 64) {
    bytes += approximateBytes(records[i]);
    sampled++;
  }
  return sampled === 0 ? 0 : Math.ceil((bytes / sampled) * records.length);
}
