import { hash } from 'node:crypto';
import { isLosslessNumber, parseJson, stringifyJson } from '../../formats/json.js';
import { compilePath, writePath } from '../../formats/path.js';
import { type Answer, cutRemedy, UnreadableBody } from './failure.js';
import { nextLink } from './link.js';
import type { HttpSettings } from './options.js';
import { type Damage, decodeUtf8 } from './utf8.js';

/** One page, decoded. */
export interface Page {
  readonly items: readonly unknown[];
  /** Present when the body was not wholly UTF-8: tells which items suffered. */
  readonly damage: Damage | undefined;
  /** Size of the body, unpacked. */
  readonly bytes: number;
  /** Records of the whole listing, as this page tells. */
  readonly total: number | undefined;
  /** The cursor as JSON text, or the address, of the next page. */
  readonly next: string | undefined;
  /** Whether the response said anything about a next page, if only that there is none. */
  readonly saysNext: boolean;
  /** Equal for pages with the same items. */
  readonly fingerprint: string;
}

/** A reader of answers into pages, as the options say. It throws UnreadableBody for what is not a page. */
export function pageReader(settings: HttpSettings): (answer: Answer) => Page {
  const itemsOf = compilePath(settings.items);
  const atRoot = settings.items === '$';
  const totalOf = totalReader(settings);
  const nextOf = nextReader(settings);

  return (answer) => {
    const { bytes } = answer;
    const { text, damage } = decodeUtf8(bytes);
    const body = answer.status === 204 ? [] : parsed(text, bytes);
    const items = answer.status === 204 ? [] : listed(itemsOf(body), body, settings.items, bytes);
    const next = nextOf(body, answer);
    return {
      items,
      damage,
      bytes: bytes.length,
      total: totalOf(body, answer),
      next: next === '' ? undefined : next,
      saysNext: next !== undefined,
      fingerprint: hash('sha1', atRoot ? bytes : JSON.stringify(items), 'base64'),
    };
  };
}

function parsed(text: string, bytes: Buffer): unknown {
  try {
    return parseJson(text);
  } catch {
    const body = text.trim();
    // The parser's own words are not kept: they quote the body, and whatever secrets it repeats.
    const cut = (body.startsWith('{') && !body.endsWith('}')) || (body.startsWith('[') && !body.endsWith(']'));
    throw cut
      ? new UnreadableBody('truncated-body', `gave JSON that breaks off after ${bytes.length} bytes`, {
          remedy: cutRemedy,
          body: bytes,
        })
      : new UnreadableBody('not-json', 'gave a body that is not JSON', {
          remedy: 'check url and headers.accept',
          body: bytes,
        });
  }
}

function listed(found: unknown, body: unknown, path: string, bytes: Buffer): readonly unknown[] {
  if (Array.isArray(found)) return found;
  // Go writes an empty list as null, protobuf's JSON form leaves it out.
  if (found === null) return [];
  if (typeof body === 'object' && body !== null && !Array.isArray(body) && Object.keys(body).length === 0) return [];
  const lists = listsOf(body).slice(0, 5).join(', ');
  throw new UnreadableBody('not-a-list', `gave no list at ${path}`, {
    remedy: `set items to the path of the list in the body${lists === '' ? '' : `, which has lists at ${lists}`}`,
    body: bytes,
  });
}

/** Where a body has lists of objects, down to three levels. */
function listsOf(value: unknown, names: readonly string[] = []): string[] {
  if (Array.isArray(value))
    return value.some((item) => typeof item === 'object' && !isLosslessNumber(item)) ? [writePath(names)] : [];
  if (typeof value !== 'object' || value === null || names.length === 3) return [];
  return Object.entries(value).flatMap(([name, below]) => listsOf(below, [...names, name]));
}

function totalReader(settings: HttpSettings): (body: unknown, answer: Answer) => number | undefined {
  const total = settings.pagination.style === 'none' ? undefined : settings.pagination.total;
  if (!total) return () => undefined;
  if ('path' in total) {
    const read = compilePath(total.path);
    return (body) => count(read(body));
  }
  const name = total.header.toLowerCase();
  return (_body, answer) => count(one(answer.headers[name]));
}

/** A count, also out of Content-Range (`items 0-99/163`). */
function count(value: unknown): number | undefined {
  const text = typeof value === 'string' || typeof value === 'number' || isLosslessNumber(value) ? String(value) : '';
  const digits = /^(?:.*\/)?\s*(\d+)\s*$/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** What the response says of the next page: '' for none, undefined for nothing at all. */
function nextReader(settings: HttpSettings): (body: unknown, answer: Answer) => string | undefined {
  const { pagination } = settings;
  switch (pagination.style) {
    case 'cursor':
    case 'next': {
      const read = compilePath(pagination.path);
      const isCursor = pagination.style === 'cursor';
      return (body) => {
        const value = read(body);
        if (value === undefined) return undefined;
        if (value === null || value === '' || value === false) return '';
        return isCursor ? stringifyJson(value) : String(value);
      };
    }
    case 'none':
    case 'link':
      return (_body, { headers }) => (headers.link === undefined ? undefined : (nextLink(headers.link) ?? ''));
    default:
      return () => undefined;
  }
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
