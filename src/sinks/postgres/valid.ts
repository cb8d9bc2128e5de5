import type { TargetColumn } from './target.js';

/** True when the text is surely a value of the column's type. False says nothing: the database is asked then. */
export type SurelyValid = (text: string) => boolean;

/** The check for a column, chosen by its base type. Of domains and types not known here nothing is sure. */
export function surelyValid({ baseType, category, typmod, domain }: TargetColumn): SurelyValid {
  if (domain) return never;
  if (category === 'A') return arrayOf(baseType.slice(1), typmod);
  return scalar(baseType, typmod);
}

const never: SurelyValid = () => false;

function scalar(baseType: string, typmod: number): SurelyValid {
  switch (baseType) {
    case 'int2':
      return integer(-32768n, 32767n);
    case 'int4':
      return integer(-2147483648n, 2147483647n);
    case 'int8':
      return integer(-9223372036854775808n, 9223372036854775807n);
    case 'numeric':
      return numeric(typmod);
    case 'float4':
    case 'float8':
      return (text) => /^-?(?:\d{1,15}(?:\.\d{0,15})?(?:e[+-]?[0-2]?\d)?|NaN|Infinity)$/i.test(text);
    case 'bool':
      return (text) => /^(?:t|f|true|false|y|n|yes|no|on|off|1|0)$/i.test(text);
    case 'text':
      return () => true;
    case 'varchar':
    case 'bpchar':
      return typmod < 0 ? () => true : (text) => text.length <= typmod - 4 || codePoints(text) <= typmod - 4;
    case 'date':
      return (text) => isoDate.test(text) && realDate(text);
    case 'timestamp':
    case 'timestamptz':
      return (text) => isoTimestamp.test(text) && realDate(text);
    case 'uuid':
      return (text) => /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i.test(text);
    case 'json':
    case 'jsonb':
      return json;
    case 'bytea':
      return (text) => /^\\x(?:[\da-f]{2})*$/i.test(text);
    default:
      return never;
  }
}

function integer(least: bigint, most: bigint): SurelyValid {
  const sureDigits = String(most).length - 1;
  return (text) => {
    if (!/^-?\d{1,19}$/.test(text)) return false;
    if (text.length <= sureDigits) return true;
    const value = BigInt(text);
    return value >= least && value <= most;
  };
}

/** Digits no server finds too many: numeric holds 131,072 before the point and 16,383 behind it, when it has no bounds. */
const manyDigits = 1000;

/** The typmod of numeric(p, s) holds p above and s in the lower 11 bits, which are signed since 15. */
function numeric(typmod: number): SurelyValid {
  const bounded = typmod >= 4;
  const precision = bounded ? ((typmod - 4) >> 16) & 0xffff : 2 * manyDigits;
  const scale = bounded ? (((typmod - 4) & 0x7ff) ^ 1024) - 1024 : manyDigits;
  return (text) => {
    const match = /^-?0*(\d*)(?:\.(\d*))?$/.exec(text);
    if (match === null) return false;
    const whole = match[1]!.length;
    const fraction = match[2]?.length ?? 0;
    if (whole + fraction === 0) return /\d/.test(text);
    if (scale < 0 || fraction > manyDigits) return false;
    // Rounding may add a digit in front.
    return fraction <= scale ? whole <= precision - scale : whole < precision - scale;
  };
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

const isoDate = /^\d{4}-\d\d-\d\d$/;
const isoTimestamp =
  /^\d{4}-\d\d-\d\d(?:[ T](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?: ?(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?))?)?$/;
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The date in front is one of the calendar's. */
function realDate(text: string): boolean {
  const year = Number(text.slice(0, 4));
  const month = Number(text.slice(5, 7));
  const day = Number(text.slice(8, 10));
  if (year === 0 || month < 1 || month > 12 || day < 1) return false;
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day <= monthDays[month - 1]! + (leap ? 1 : 0);
}

/** Escapes may name characters that jsonb can't hold, and exponents numbers too large for it. */
function json(text: string): boolean {
  if (text.includes('\\u') || /\d[eE]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** One dimension, of elements without quotes or backslashes, or of quoted texts. */
function arrayOf(element: string, typmod: number): SurelyValid {
  const check = scalar(element, typmod);
  if (check === never) return never;
  const quotable = element === 'text' || (element === 'varchar' && typmod < 0);
  return (text) => {
    if (text === '{}') return true;
    if (quotable && quotedElements.test(text)) return true;
    if (!bareElements.test(text)) return false;
    return text
      .slice(1, -1)
      .split(',')
      .every((item) => /^null$/i.test(item) || check(item));
  };
}

const bareElements = /^\{[^\s"\\{},]+(?:,[^\s"\\{},]+)*\}$/;
const quotedElements = /^\{(?:"(?:[^"\\]|\\.)*"|[^\s"\\{},]+)(?:,(?:"(?:[^"\\]|\\.)*"|[^\s"\\{},]+))*\}$/s;
