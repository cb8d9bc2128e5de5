import { describe, expect, test } from 'vitest';
import { quick, readAll } from '../../../test/servers/read-http.js';
import { people, startTroubledApi } from '../../../test/servers/troubled-api.js';
import { isSecretName, publicAddress } from './address.js';
import { type HttpOptions, http } from './index.js';

const secretive = (url: string): HttpOptions[] => [
  { url: url.replace('http://', 'http://ann:S3CRET-a@') },
  { url: `${url}?api_key=S3CRET-b&country=CH` },
  { url: `${url}?sessionid=S3CRET-s&country=CH` },
  { url, auth: { bearer: 'S3CRET-c' } },
  { url, auth: { basic: { user: 'ann', password: 'S3CRET-d' } } },
  { url, headers: { 'x-api-key': 'S3CRET-e', authorization: 'Token S3CRET-f' } },
  { url, method: 'POST', body: { filter: { country: 'CH' }, auth: { token: 'S3CRET-g' } } },
  {
    url,
    auth: { oauth2: { tokenUrl: url.replace('items', 'token'), clientId: 'me', clientSecret: 'S3CRET-h' } },
  },
];
const hidden = /S3CRET|UzNDUkVU|Uz ?NDUkVU|OlMzQ1JFVC/;

describe('secrets', () => {
  test('are in no identity and no split', async () => {
    for (const each of secretive('https://api.test/items')) {
      await using source = http(each);
      expect(source.identity).not.toMatch(hidden);
      expect(source.identity).toContain('https://api.test/items');
    }
  });

  test('are in no error, problem, log or resume token, even where the server repeats the request', async () => {
    await using api = await startTroubledApi(({ path, headers, body, query, index }) => {
      if (path === '/token') return { body: { access_token: 'S3CRET-token' } };
      const { authorization, 'x-api-key': key } = headers;
      const echo = JSON.stringify({ authorization, key, body, query: query.toString() });
      if (index < 3) return { body: `<html>${echo}` };
      if (query.get('page') === '2') return { status: 400, body: echo };
      return { body: people(3), headers: { link: `</items?${query}&page=2>; rel="next"` } };
    });
    for (const each of secretive(api.url)) {
      const read = await readAll({ ...each, pagination: { style: 'link' }, retries: quick });
      expect(read.chunks).toHaveLength(1);
      expect(read.error).toMatchObject({ code: 'http-400' });
      const error =
        read.error instanceof Error ? `${read.error.stack} ${JSON.stringify(read.error)} ${read.error.cause}` : '';
      const said = [error, JSON.stringify(read.problems), read.logged.join(), JSON.stringify(read.chunks)].join('\n');
      expect(said).toContain('answered 400');
      expect(said).toContain('***');
      expect(said).not.toMatch(hidden);
    }
  });

  test('of the url are in no resume token, and sent again after a resume', async () => {
    await using api = await startTroubledApi(({ query, index }) => ({
      body: people(2, index * 2),
      headers: {
        link: `</items?${new URLSearchParams({ ...Object.fromEntries(query), page: String(index + 2) })}>; rel="next"`,
      },
    }));
    const options: HttpOptions = { url: `${api.url}?api_key=S3CRET&country=CH`, pagination: { style: 'link' } };
    const read = await readAll(options, { chunks: 20 });
    const next = read.chunks.at(-1)!.span.next;
    expect(JSON.stringify(next)).toContain('country=CH&page=5');
    expect(JSON.stringify(next)).not.toContain('S3CRET');
    const before = api.requests.length;
    await readAll(options, { from: next, chunks: 1 });
    expect(api.requests[before]?.query.toString()).toBe('country=CH&page=5&api_key=S3CRET');
  });

  test('of the url are sent again with the next page although its link lacks them', async () => {
    await using api = await startTroubledApi(({ index }) => ({
      body: people(2, index * 2),
      headers: { link: index === 0 ? '</items?page=2>; rel="next"' : '' },
    }));
    await readAll({ url: `${api.url}?api_key=S3CRET`, pagination: { style: 'link' } });
    expect(api.requests[1]?.query.toString()).toBe('page=2&api_key=S3CRET');
  });
});

test.each([
  ['api_key', true],
  ['apiKey', true],
  ['X-Api-Key', true],
  ['key', true],
  ['access_token', true],
  ['accessToken', true],
  ['X-Amz-Signature', true],
  ['client-secret', true],
  ['password', true],
  ['Authorization', true],
  ['session', true],
  ['session_id', true],
  ['SessionId', true],
  ['sessionid', true],
  ['JSESSIONID', true],
  ['PHPSESSID', true],
  ['ASP.NET_SessionId', true],
  ['sid', true],
  ['auth', true],
  ['sig', true],
  ['session_year', false],
  ['parliamentary-session', false],
  ['accountSid', false],
  ['page_token', false],
  ['nextPageToken', false],
  ['author', false],
  ['keyword', false],
  ['sort_key', false],
  ['countryCode', false],
  ['design', false],
])('%s: secret %o', (name, secret) => {
  expect(isSecretName(name)).toBe(secret);
});

test('an address is shown without user, password and secrets, the rest as it was', () => {
  expect(publicAddress(new URL('https://u:p@api.test/a?b=1,2&token=x&c=%20#d'))).not.toMatch(/u:p|token|#d/);
  expect(publicAddress(new URL('https://api.test/a;jsessionid=1A2B;v=1/b?sessionid=x&b=1'))).toBe(
    'https://api.test/a;v=1/b?b=1',
  );
  expect(publicAddress(new URL('https://api.test/a?b=1,2&c=%20'))).toBe('https://api.test/a?b=1,2&c=%20');
});

describe('identity', () => {
  const identity = (more: Partial<HttpOptions>) => http({ url: 'https://api.test/items', ...more }).identity;

  test('tells listings apart by address, list and posted body', () => {
    const all = [
      identity({}),
      identity({ url: 'https://api.test/items?country=CH' }),
      identity({ items: 'data' }),
      identity({ method: 'POST', body: { country: 'CH' } }),
      identity({ method: 'POST', body: { country: 'DE' } }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  test('does not change with how the listing is read, or with its secrets', () => {
    const same = [
      identity({}),
      identity({ parallel: 9, timeout: 5, rateLimit: 3, auth: { bearer: 'one' } }),
      identity({ pagination: { style: 'page', size: { param: 'size', value: 7 } } }),
      identity({ url: 'https://other:secret@api.test/items' }),
    ];
    expect(new Set(same).size).toBe(1);
  });
});

test.each<[string, unknown]>([
  ['url', { url: 'ftp://api.test' }],
  ['nope', { url: 'https://api.test', nope: 1 }],
  ['pagination', { url: 'https://api.test', pagination: { style: 'pages' } }],
  ['pagination.path', { url: 'https://api.test', pagination: { style: 'cursor' } }],
  ['exactly one of', { url: 'https://api.test', auth: { bearer: 'a', basic: { user: 'a', password: 'S3CRET' } } }],
  ['method: POST', { url: 'https://api.test', body: {} }],
  ['parallel', { url: 'https://api.test', parallel: 0 }],
  ['not a path', { url: 'https://api.test', items: 'a..b' }],
  ['not both', { url: 'https://u:S3CRET@api.test', auth: { bearer: 'a' } }],
])('a wrong option is named: %s', (name, wrong) => {
  const options: HttpOptions = JSON.parse(JSON.stringify(wrong));
  const make = () => http(options);
  expect(make).toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining(name) }));
  expect(make).not.toThrow(/S3CRET/);
});
