import { inspect } from 'node:util';
import { isLosslessNumber, LosslessNumber, parse, stringify } from 'lossless-json';

export { isLosslessNumber, LosslessNumber };

/**
 * Finds, in JSON text, any number whose digits a JavaScript number might not give back: 16 digits and more, a trailing
 * zero after the point, an exponent, a minus zero, six or more leading zeros after the point. It looks at what stands
 * between a token's start (`:`, `,`, `[`, white space or the start of the text) and its end, so a string's inside can only
 * cause a needless careful parse, never a missed number; that of a time of day (`T10:30:00.000Z`) does not.
 */
const fragile =
  /(?:^|[:,[\s])(?:-?(?:\d[\d.]{15,}(?:[eE][+-]?\d+)?|\d+(?:\.\d+)?[eE][+-]?\d+|\d+\.\d*0|0\.0{6}\d*)|-0)(?=[\s,\]}]|$)/;

/**
 * JSON.parse that keeps every number digit for digit: a number that a JavaScript number can't hold exactly as written
 * (9007199254740993, 1.10, 1e400) becomes a LosslessNumber, the others stay numbers. Text without such numbers takes
 * JSON.parse's own speed.
 * @throws SyntaxError when the text is not JSON.
 */
export function parseJson(text: string): unknown {
  if (!fragile.test(text)) return JSON.parse(text);
  return parse(text, undefined, { parseNumber: exactNumber, onDuplicateKey: keepLast });
}

/** Of a key that an object repeats the last value counts, as JSON.parse has it. */
function keepLast({ newValue }: { newValue: unknown }): unknown {
  return newValue;
}

function exactNumber(digits: string): number | LosslessNumber {
  const value = Number(digits);
  return String(value) === digits ? value : new LosslessNumber(digits);
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
