import { randomBytes } from 'node:crypto';

const strict = new TextDecoder('utf-8', { fatal: true });

/** Text of a body. Where bytes were not UTF-8, `damage` finds the values that hold them. */
export interface Decoded {
  readonly text: string;
  readonly damage?: Damage;
}

/** Bytes that were not UTF-8, marked in the text so that they can be told to the records they stand in. */
export interface Damage {
  /** The value with each damaged string as `{ base64 }` of its bytes; undefined when nothing in it is damaged. */
  reveal(value: unknown): { readonly value: unknown } | undefined;
}

/** Decodes strictly. A byte order mark is dropped. */
export function decodeUtf8(bytes: Uint8Array): Decoded {
  try {
    return { text: strict.decode(bytes) };
  } catch {
    return decodeDamaged(bytes);
  }
}

/** Well-formed UTF-8 sequences (Unicode 15, table 3-7) as Latin-1 characters, or else a single bad byte. */
const sequence =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|([\x80-\xff])/g;

function decodeDamaged(bytes: Uint8Array): Decoded {
  // Nobody can send this mark by chance, so whatever holds it after parsing was damaged.
  const mark = `~${randomBytes(12).toString('hex')}~`;
  const latin1 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const marked = latin1.replace(sequence, (whole, bad: string | undefined) =>
    bad === undefined ? whole : mark + bad.charCodeAt(0).toString(16),
  );
  const markedByte = new RegExp(`${mark}(..)`, 'g');

  function original(text: string): string {
    const pieces = text.split(markedByte).map((piece, i) => Buffer.from(piece, i % 2 === 1 ? 'hex' : 'utf8'));
    return Buffer.concat(pieces).toString('base64');
  }
  function reveal(value: unknown): { readonly value: unknown } | undefined {
    if (typeof value === 'string') return value.includes(mark) ? { value: { base64: original(value) } } : undefined;
    if (Array.isArray(value)) {
      const found = value.map(reveal);
      return found.some(Boolean) ? { value: value.map((item, i) => (found[i] ? found[i].value : item)) } : undefined;
    }
    if (typeof value !== 'object' || value === null) return undefined;
    let any = false;
    const entries = Object.entries(value).map(([name, item]): [string, unknown] => {
      const found = reveal(item);
      if (found || name.includes(mark)) any = true;
      return [name.replace(markedByte, '\ufffd'), found ? found.value : item];
    });
    return any ? { value: Object.fromEntries(entries) } : undefined;
  }
  return { text: strict.decode(Buffer.from(marked, 'latin1')), damage: { reveal } };
}
