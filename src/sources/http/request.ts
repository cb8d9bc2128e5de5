import { SourceError } from '../../errors.js';
import { parseJson, stringifyJson } from '../../formats/json.js';
import { parsePath } from '../../formats/path.js';
import { publicAddress, withoutSecretsOf, withSecretsOf } from './address.js';
import type { Ask } from './client.js';
import type { HttpSettings } from './options.js';

/** Which page: what a resume token holds of it. */
export type Place =
  | { readonly kind: 'start' }
  /** A page number or an offset; `want` is the page size to ask for, when not the option's. */
  | { readonly kind: 'number'; readonly at: number; readonly want?: number | undefined }
  /** The token as JSON text, digit for digit. */
  | { readonly kind: 'cursor'; readonly cursor: string }
  /** A next URL, without the secrets of the configured one. */
  | { readonly kind: 'url'; readonly url: string };

/** The request of a page. */
export function askFor(settings: HttpSettings, place: Place, row: number): Ask {
  const { pagination } = settings;
  const base = new URL(settings.url);
  base.username = '';
  base.password = '';
  base.hash = '';
  const label = labelOf(settings, place, row);
  if (pagination.style === 'none') return ask(settings, base, [], label);

  // A next URL carries the page size already.
  if (place.kind === 'url') return ask(settings, withSecretsOf(base, place.url), [], label);
  const parameters: [string, unknown][] = [];
  if (place.kind === 'number' && 'param' in pagination) parameters.push([pagination.param, place.at]);
  if (place.kind === 'cursor' && 'param' in pagination) parameters.push([pagination.param, parseJson(place.cursor)]);
  if (pagination.size) {
    const want = place.kind === 'number' ? place.want : undefined;
    parameters.push([pagination.size.param, want ?? pagination.size.value]);
  }
  return ask(settings, base, parameters, label);
}

function ask(settings: HttpSettings, url: URL, parameters: readonly [string, unknown][], label: string): Ask {
  const { method, pagination } = settings;
  let body: unknown = settings.body;
  if (pagination.style !== 'none' && pagination.in === 'body') {
    for (const [path, value] of parameters) body = withValue(body ?? {}, parsePath(path), value);
  } else {
    for (const [name, value] of parameters) setParameter(url, name, value);
  }
  return { url, body: method === 'POST' ? stringifyJson(body ?? {}) : undefined, label };
}

/** Leaves the rest of the query as the user wrote it: `searchParams` would encode all of it anew. */
function setParameter(url: URL, name: string, value: unknown): void {
  const text = typeof value === 'string' ? value : (stringifyJson(value) ?? '');
  if (url.searchParams.has(name)) url.searchParams.set(name, text);
  else url.search += `${url.search === '' ? '?' : '&'}${encodeURIComponent(name)}=${encodeURIComponent(text)}`;
}

/** A copy of `target` that holds `value` at the path; objects on the way are made where they are missing. */
function withValue(target: unknown, path: readonly (string | number)[], value: unknown): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  if (Array.isArray(target))
    return Object.assign([...target], { [name]: withValue(target[Number(name)], rest, value) });
  const fields: Record<string, unknown> = typeof target === 'object' && target !== null ? { ...target } : {};
  return { ...fields, [name]: withValue(fields[name], rest, value) };
}

/** The place a next link leads to. */
export function placeOfLink(settings: HttpSettings, link: string, current: Ask): Place {
  const base = new URL(settings.url);
  let target: URL;
  try {
    target = new URL(link, current.url);
  } catch {
    throw new SourceError('bad-next-url', `${publicAddress(current.url)}: the next page's address is not a URL`);
  }
  // Behind a proxy that ends TLS, an API may think of itself as http.
  if (base.protocol === 'https:' && target.protocol === 'http:' && target.hostname === base.hostname) {
    target.protocol = 'https:';
    target.port = base.port;
  }
  if (target.origin !== base.origin)
    throw new SourceError(
      'foreign-next-url',
      `${publicAddress(current.url)}: the next page is said to be at ${target.origin}, another server than ${base.origin}; ` +
        'it was not asked, so that no credentials go there: set url to the address the API gives in its links',
    );
  target.username = '';
  target.password = '';
  target.hash = '';
  return { kind: 'url', url: withoutSecretsOf(base, target) };
}

/** The first page's address in the form next URLs are stored in. */
export function addressOfStart(settings: HttpSettings): string {
  return withoutSecretsOf(new URL(settings.url), askFor(settings, { kind: 'start' }, 0).url);
}

/** A page's name for people. `row` is the number of its first row. */
function labelOf(settings: HttpSettings, place: Place, row: number): string {
  if (place.kind === 'number') return `${settings.pagination.style === 'offset' ? 'offset' : 'page'} ${place.at}`;
  if (settings.pagination.style === 'none') return 'the listing';
  return place.kind === 'start' ? 'the first page' : `the page from row ${row + 1}`;
}
