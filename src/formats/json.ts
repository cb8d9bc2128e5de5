import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { isLosslessNumber, LosslessNumber, stringify } from 'lossless-json';

export { isLosslessNumber, LosslessNumber };

/**
 * Finds, in JSON text, any number whose digits a JavaScript number might not give back: 16 digits and more, a trailing
 * zero after the point, an exponent, a minus zero, six or more leading zeros after the point. It looks at what stands
 * between a token's start (`:`, `,`, `[`, white space or the start of the text) and its end, so a string's inside can only
 * cause a needless careful parse, never a missed number; that of a time of day (`T10:30:00.000Z`) does not.
 */
const fragile =
  /(?:^|[:,[\s])(?:-?(?:\d[\d.]{15,}(?:[eE][+-]?\d+)?|\d+(?:\.\d+)?[eE][+-]?\d+|\d+\.\d*0|0\.0{6}\d*)|-0)(?=[\s,\]}]|$)/;

/** Strings, to be passed over, and numbers at their full length: what follows is not a key's colon. */
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?=\s*(?:[,\]}]|$))/g;
const quote = '"'.charCodeAt(0);

/** Begins the strings that stand for numbers while JSON.parse reads them. No text can hold it by chance, or by intent. */
const mark = `number ${randomBytes(12).toString('base64')} `;

/**
 * JSON.parse that keeps every number digit for digit: a number that a JavaScript number can't hold exactly as written
 * (9007199254740993, 1.10, 1e400) becomes a LosslessNumber, the others stay numbers. Text without such numbers takes
 * JSON.parse's own speed. In other text they are made strings first, for lossless-json's own parser puts together what stands
 * in quotes character by character: pages of texts of 1 kB took a hundred times as long as by JSON.parse, and hundreds of megabytes.
 * @throws SyntaxError when the text is not JSON.
 */
export function parseJson(text: string): unknown {
  if (!fragile.test(text)) return JSON.parse(text);
  let marked = '';
  let from = 0;
  for (const { 0: found, index } of text.matchAll(token)) {
    if (found.charCodeAt(0) === quote || String(Number(found)) === found) continue;
    marked += `${text.slice(from, index)}"${mark}${found}"`;
    from = index + found.length;
  }
  let value: unknown;
  try {
    value = JSON.parse(marked + text.slice(from));
  } catch {
    // Throws as well, in words about the text itself.
    return JSON.parse(text);
  }
  return restore(value);
}

/** Puts the numbers back that were made strings. */
function restore(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith(mark) ? new LosslessNumber(value.slice(mark.length)) : value;
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) if (mayHoldNumbers(item)) value[i] = restore(item);
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) if (mayHoldNumbers(value[key])) value[key] = restore(value[key]);
  }
  return value;
}

function mayHoldNumbers(value: unknown): boolean {
  return typeof value === 'string' || (typeof value === 'object' && value !== null);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** JSON text of a value; bigints and LosslessNumbers are written digit for digit. Undefined when JSON has no form for it. */
export function stringifyJson(value: unknown): string | undefined {
  return stringify(value);
}

/** As `stringifyJson`; of a value without a JSON form (a cycle, a `toJSON` that throws) a description of it, as a JSON string. */
export function describeJson(value: unknown): string | undefined {
  try {
    return stringifyJson(value);
  } catch {
    return JSON.stringify(inspect(value, { depth: 4, breakLength: Number.POSITIVE_INFINITY, customInspect: false }));
  }
}

/** Text that is JSON already, on its way into a column: it is written as it stands, whatever the column's type. */
export class JsonText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
