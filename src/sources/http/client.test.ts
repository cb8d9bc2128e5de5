import { describe, expect, test } from 'vitest';
import { quick, readAll, readSource } from '../../../test/servers/read-http.js';
import { pageOf, people, type Reply, type SeenRequest, startTroubledApi } from '../../../test/servers/troubled-api.js';
import { type HttpOptions, http } from './index.js';

const records = people(60);
const size = { param: 'size', value: 10 };
const pages = { style: 'page', size, total: { header: 'x-total' } } as const;

function page(request: SeenRequest): Reply {
  return { body: pageOf(records, request.query), headers: { 'x-total': String(records.length) } };
}

describe('retries', () => {
  test.each([408, 429, 500, 502, 503, 504])('%i is tried again until it is gone', async (status) => {
    await using api = await startTroubledApi(({ index }) => (index < 2 ? { status, body: 'busy' } : { body: records }));
    const read = await readAll({ url: api.url });
    expect(read.records).toEqual(records);
    expect(api.requests).toHaveLength(3);
    expect(read.logged).toHaveLength(2);
    expect(read.problems).toEqual([]);
  });

  test('a connection closed without an answer is tried again', async () => {
    await using api = await startTroubledApi(({ index }) => (index < 2 ? { cutAfter: -1 } : { body: records }));
    expect((await readAll({ url: api.url })).records).toEqual(records);
  });

  test.each([400, 401, 403, 404, 405, 410, 422, 501])('%i is not tried again', async (status) => {
    await using api = await startTroubledApi(() => ({ status, body: { message: 'no such thing' } }));
    const read = await readAll({ url: api.url });
    expect(api.requests).toHaveLength(1);
    expect(read.error).toMatchObject({ name: 'SourceError', code: `http-${status}` });
    expect(String(read.error)).toContain(`answered ${status}: {"message":"no such thing"}`);
    expect(String(read.error)).toContain(api.url);
  });

  test('tries are bounded', async () => {
    await using api = await startTroubledApi(() => ({ status: 503, body: 'down for now' }));
    const read = await readAll({ url: api.url, retries: { ...quick, attempts: 4 } });
    expect(api.requests).toHaveLength(4);
    expect(read.error).toMatchObject({ code: 'http-503' });
    expect(String(read.error)).toMatch(/answered 503: down for now \(tried 4 times\)/);
  });

  test('no such host and a closed port are told as such', async () => {
    const retries = { ...quick, attempts: 2 };
    const closed = await readAll({ url: 'http://127.0.0.1:1/items', retries });
    expect(closed.error).toMatchObject({ code: 'unreachable' });
    expect(String(closed.error)).toContain('ECONNREFUSED');
    const nowhere = await readAll({ url: 'http://no-such-host.invalid/items', retries });
    expect(nowhere.error).toMatchObject({ code: 'unreachable' });
  });

  test.each([
    ['seconds', () => '2'],
    ['a date', () => new Date(Date.now() + 3_000).toUTCString()],
  ])('Retry-After as %s holds every request back', async (_form, header) => {
    let asked = 0;
    await using api = await startTroubledApi((request) => {
      const refused = request.query.get('page') === '3' && asked++ === 0;
      return refused
        ? { status: 429, headers: { 'retry-after': header() } }
        : { ...page(request), delay: request.query.get('page') === '2' ? 150 : 0 };
    });
    const read = await readAll({
      url: api.url,
      parallel: 2,
      pagination: pages,
      retries: { ...quick, longestPause: 10 },
    });
    expect(read.records).toEqual(records);
    const refused = api.requests.find(({ query }) => query.get('page') === '3')!;
    const quiet = api.requests.filter(({ at }) => at > refused.at + 500 && at < refused.at + 1_900);
    expect(quiet).toEqual([]);
    const again = api.requests.filter(({ query }) => query.get('page') === '3')[1]!;
    expect(again.at - refused.at).toBeGreaterThan(1_900);
  });

  test('a Retry-After beyond the longest pause ends the reading at once', async () => {
    await using api = await startTroubledApi(() => ({ status: 429, headers: { 'retry-after': '3600' } }));
    const read = await readAll({ url: api.url });
    expect(api.requests).toHaveLength(1);
    expect(String(read.error)).toContain('it asks to wait 3600 s');
  });

  test('a redirect is told with where it leads', async () => {
    await using api = await startTroubledApi(() => ({ status: 301, headers: { location: 'https://example.test/v2' } }));
    const read = await readAll({ url: api.url });
    expect(read.error).toMatchObject({ code: 'http-301' });
    expect(String(read.error)).toContain('https://example.test/v2');
  });
});

describe('time', () => {
  test('a request that takes too long is ended and tried again', async () => {
    await using api = await startTroubledApi(({ index }) => (index === 0 ? { hang: true } : { body: records }));
    const read = await readAll({ url: api.url, timeout: 1 });
    expect(read.records).toEqual(records);
    expect(api.abandoned).toBe(1);
  });

  test('an answer that never comes ends the reading', async () => {
    await using api = await startTroubledApi(() => ({ hang: true }));
    const read = await readAll({ url: api.url, timeout: 0.05, retries: { ...quick, attempts: 2 } });
    expect(read.error).toMatchObject({ code: 'timeout' });
    expect(api.requests).toHaveLength(2);
  });

  test('the rate limit spaces requests, whatever may run in parallel', async () => {
    await using api = await startTroubledApi(page);
    const read = await readAll({ url: api.url, parallel: 8, rateLimit: 20, pagination: pages });
    expect(read.records).toEqual(records);
    const times = api.requests.map(({ at }) => at);
    expect(times).toHaveLength(7);
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(230);
  });

  test('many requests in flight leave no warning of leaks', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning.name);
    process.on('warning', onWarning);
    await using api = await startTroubledApi((request) => ({ ...page(request), delay: 100 }));
    await readAll({ url: api.url, parallel: 32, pagination: { style: 'page', size } });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect(api.mostAtOnce).toBeGreaterThan(10);
    expect(warnings).toEqual([]);
  });

  test('an abort ends requests at once, with its reason', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    let start = Number.NEGATIVE_INFINITY;
    await using api = await startTroubledApi((request) => {
      if (Number(request.query.get('page')) < 3) return page(request);
      // By then the pages before it have long been handed on.
      setTimeout(() => {
        start = performance.now();
        stop.abort(reason);
      }, 1_000).unref();
      return { hang: true };
    });
    const read = await readAll({ url: api.url, pagination: pages }, { signal: stop.signal });
    expect(read.error).toBe(reason);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(read.records).toHaveLength(20);
  });

  test('an abort ends a pause between tries at once', async () => {
    await using api = await startTroubledApi(() => ({ status: 503, headers: { 'retry-after': '30' } }));
    const start = performance.now();
    const read = await readAll({ url: api.url, retries: {} }, { signal: AbortSignal.timeout(150) });
    expect(read.error).toMatchObject({ name: 'TimeoutError' });
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  test('an abort ends the wait for a turn at once', async () => {
    await using api = await startTroubledApi(page);
    const start = performance.now();
    const read = await readAll(
      { url: api.url, rateLimit: 0.01, pagination: pages },
      { signal: AbortSignal.timeout(150) },
    );
    expect(read.error).toMatchObject({ name: 'TimeoutError' });
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  test('a signal aborted before the start sends nothing', async () => {
    await using api = await startTroubledApi(page);
    const read = await readAll({ url: api.url }, { signal: AbortSignal.abort() });
    expect(read.error).toMatchObject({ name: 'AbortError' });
    expect(api.requests).toHaveLength(0);
  });

  test('a consumer that stops early ends the requests in flight', async () => {
    await using api = await startTroubledApi((request) => (request.index === 0 ? page(request) : { hang: true }));
    const start = performance.now();
    await using source = http({ url: api.url, parallel: 4, pagination: pages });
    const read = await readSource(source, { chunks: 1 });
    expect(read.records).toHaveLength(10);
    expect(performance.now() - start).toBeLessThan(5_000);
    await expect.poll(() => api.abandoned + 1).toBe(api.requests.length);
  });

  test('no more pages are fetched ahead of a slow consumer than may be in flight', async () => {
    await using api = await startTroubledApi(page);
    await using source = http({ url: api.url, parallel: 2, pagination: pages });
    const context = {
      run: 'run',
      job: 'job',
      epoch: 1,
      signal: new AbortController().signal,
      log: { debug() {}, info() {}, warn() {} },
      problem() {},
    };
    const chunks = source.read({ id: 'x' }, undefined, context)[Symbol.asyncIterator]();
    await chunks.next();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(api.requests).toHaveLength(3);
    await chunks.return?.();
  });

  test('connections are kept, as many as may be in flight', async () => {
    await using api = await startTroubledApi(page);
    await readAll({ url: api.url, parallel: 2, pagination: pages });
    expect(api.requests).toHaveLength(7);
    expect(api.connections).toBeLessThanOrEqual(2);
  });
});

describe('authorization', () => {
  const sent: [string, Partial<HttpOptions>, string, string][] = [
    ['a bearer token', { auth: { bearer: 'tok-123' } }, 'authorization', 'Bearer tok-123'],
    [
      'user and password',
      { auth: { basic: { user: 'ann', password: 'pä:ss' } } },
      'authorization',
      'Basic YW5uOnDDpDpzcw==',
    ],
    ['a header', { headers: { 'X-Api-Key': 'key-123' } }, 'x-api-key', 'key-123'],
  ];
  test.each(sent)('%s goes with each request', async (_what, options, name, value) => {
    await using api = await startTroubledApi(page);
    await readAll({ url: api.url, pagination: pages, ...options });
    expect(new Set(api.requests.map(({ headers }) => headers[name]))).toEqual(new Set([value]));
  });

  test('user and password of the url go into the header, and not into the request line', async () => {
    await using api = await startTroubledApi(page);
    await readAll({ url: api.url.replace('http://', 'http://ann:s%40cret@') });
    expect(api.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('ann:s@cret').toString('base64')}`);
  });

  test.each([401, 403])('%i says what to do, with and without credentials', async (status) => {
    await using api = await startTroubledApi(() => ({ status }));
    expect(String((await readAll({ url: api.url })).error)).toContain('auth with bearer, basic or oauth2');
    expect(String((await readAll({ url: api.url, auth: { bearer: 'tok-123' } })).error)).toContain('check them');
  });

  /** An API that takes only the newest token of its token endpoint; `revoke` makes it forget that one. */
  async function guarded(lifetime: number | undefined, revoke: (request: SeenRequest) => boolean) {
    let newest = 0;
    let valid = '';
    return await startTroubledApi((request) => {
      if (request.path === '/token') {
        valid = `token-${++newest}`;
        return { body: { access_token: valid, token_type: 'bearer', expires_in: lifetime } };
      }
      if (revoke(request)) valid = '';
      return request.headers.authorization === `Bearer ${valid}` ? page(request) : { status: 401, body: 'expired' };
    });
  }
  const oauth2 = (url: string) => ({
    oauth2: { tokenUrl: url.replace('/items', '/token'), clientId: 'cl:ient', clientSecret: 'hush hush', scope: 'a b' },
  });

  test('one token is fetched for all requests', async () => {
    await using api = await guarded(3_600, () => false);
    const read = await readAll({ url: api.url, pagination: pages, auth: oauth2(api.url) });
    expect(read.records).toEqual(records);
    const [token, ...others] = api.requests.filter(({ path }) => path === '/token');
    expect(others).toEqual([]);
    expect(token).toMatchObject({ method: 'POST', body: 'grant_type=client_credentials&scope=a+b' });
    expect(token?.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(token?.headers.authorization).toBe(`Basic ${Buffer.from('cl%3Aient:hush+hush').toString('base64')}`);
  });

  test('the client can name itself in the form', async () => {
    await using api = await guarded(undefined, () => false);
    const auth = { oauth2: { ...oauth2(api.url).oauth2, credentials: 'body', audience: 'all' } } as const;
    const read = await readAll({ url: api.url, auth });
    expect(read.error).toBeUndefined();
    expect(Object.fromEntries(new URLSearchParams(api.requests[0]?.body))).toEqual({
      grant_type: 'client_credentials',
      scope: 'a b',
      audience: 'all',
      client_id: 'cl:ient',
      client_secret: 'hush hush',
    });
  });

  test('a token is renewed before it expires', async () => {
    await using api = await guarded(0.2, () => false);
    const read = await readAll({ url: api.url, parallel: 1, rateLimit: 20, pagination: pages, auth: oauth2(api.url) });
    expect(read.records).toEqual(records);
    expect(api.requests.filter(({ path }) => path === '/token').length).toBeGreaterThan(1);
  });

  test('a token that was revoked is renewed once, for all requests in flight', async () => {
    let revoked = false;
    await using api = await guarded(undefined, ({ query }) => {
      const now = query.get('page') === '4' && !revoked;
      revoked ||= now;
      return now;
    });
    const read = await readAll({ url: api.url, parallel: 3, pagination: pages, auth: oauth2(api.url) });
    expect(read.error).toBeUndefined();
    expect(read.records).toEqual(records);
    expect(api.requests.filter(({ path }) => path === '/token')).toHaveLength(2);
  });

  test('a new token that is refused too ends the reading', async () => {
    await using api = await guarded(undefined, () => true);
    const read = await readAll({ url: api.url, auth: oauth2(api.url) });
    expect(read.error).toMatchObject({ code: 'http-401' });
    expect(api.requests.map(({ path }) => path)).toEqual(['/token', '/items', '/token', '/items']);
  });

  test('a token endpoint that refuses is told as such', async () => {
    await using api = await startTroubledApi(() => ({ status: 400, body: { error: 'invalid_client' } }));
    const read = await readAll({ url: api.url, auth: oauth2(api.url) });
    expect(String(read.error)).toMatch(
      /the token endpoint http.*\/token answered 400: .*invalid_client.*check auth.oauth2/,
    );
    expect(api.requests).toHaveLength(1);
  });

  test('a token endpoint that is busy is tried again', async () => {
    let asked = 0;
    await using api = await startTroubledApi(({ path }) =>
      path === '/items' ? { body: records } : asked++ < 2 ? { status: 503 } : { body: { access_token: 'x' } },
    );
    expect((await readAll({ url: api.url, auth: oauth2(api.url) })).records).toEqual(records);
  });
});
