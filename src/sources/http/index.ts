import { hash } from 'node:crypto';
import type { ReadContext, RecordChunk, ResumePoint, Source, Split } from '../../contract/index.js';
import { ConfigError } from '../../errors.js';
import { stringifyJson } from '../../formats/json.js';
import { parsePath } from '../../formats/path.js';
import { publicAddress, publicBody } from './address.js';
import { ChainedPages } from './chained.js';
import { Client } from './client.js';
import { NumberedPages } from './numbered.js';
import { type HttpOptions, type HttpSettings, httpOptions } from './options.js';
import { Reading } from './reading.js';

export { type HttpOptions, httpOptions };

/**
 * A listing behind an HTTP API, page by page, several pages at once where its pagination allows. The listing is one
 * split; its rows are numbered from 0 in the order of the pages. What looks wrong is reported by name (see the README).
 * @throws ConfigError `bad-options` when an option is wrong.
 */
export function http(options: HttpOptions): Source {
  const settings = checked(options);
  const client = new Client(settings);
  const id = publicAddress(new URL(settings.url));
  return {
    name: 'http',
    identity: identityOf(settings, id),
    async *splits() {
      yield { id };
    },
    read: (split, from, context) => read(settings, client, split, from, context),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function* read(
  settings: HttpSettings,
  client: Client,
  split: Split,
  from: ResumePoint | undefined,
  context: ReadContext,
): AsyncGenerator<RecordChunk, void, undefined> {
  const reading = new Reading(settings, client, split.id, from, context);
  try {
    const { pagination } = settings;
    const numbered = pagination.style === 'page' || pagination.style === 'offset';
    const pages = numbered ? new NumberedPages(reading, pagination) : new ChainedPages(reading, pagination);
    yield* pages.chunks();
  } finally {
    await reading.close();
  }
}

function checked(options: HttpOptions): HttpSettings {
  const found = httpOptions.safeParse(options);
  if (!found.success) {
    const what = found.error.issues.map((issue) => `${issue.path.join('.') || 'options'}: ${issue.message}`);
    throw new ConfigError('bad-options', `http source: ${what.join('; ')}`);
  }
  const settings = found.data;
  const { pagination } = settings;
  parsePath(settings.items);
  if ('path' in pagination) parsePath(pagination.path);
  if (pagination.style !== 'none' && pagination.total && 'path' in pagination.total) parsePath(pagination.total.path);
  const inBody = pagination.style !== 'none' && pagination.in === 'body';
  if (settings.method === 'GET' && (inBody || settings.body !== undefined))
    throw new ConfigError('bad-options', 'http source: a body, and pagination.in: body, need method: POST');
  if (settings.auth && new URL(settings.url).password !== '')
    throw new ConfigError('bad-options', 'http source: give credentials in url or under auth, not both');
  return settings;
}

/** What tells this listing from others: address, list within the body, and what is posted; no secrets. */
function identityOf(settings: HttpSettings, id: string): string {
  const items = settings.items === '$' ? '' : ` ${settings.items}`;
  if (settings.method === 'GET') return `${id}${items}`;
  const body = hash('sha256', stringifyJson(publicBody(settings.body ?? {})) ?? '', 'hex').slice(0, 16);
  return `POST ${id}${items} body:${body}`;
}
