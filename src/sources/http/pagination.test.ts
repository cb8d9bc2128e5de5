import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CitiesApi, startCitiesApi } from '../../../test/servers/cities-api.js';
import { readAll, verdicts } from '../../../test/servers/read-http.js';
import { pageOf, people, type Reply, type SeenRequest, startTroubledApi } from '../../../test/servers/troubled-api.js';
import type { ResumePoint } from '../../contract/index.js';
import type { HttpOptions } from './index.js';

const records = people(237);
const ids = records.map((record) => record.id);

function byPage(request: SeenRequest): Reply {
  return { body: pageOf(records, request.query), headers: { 'x-total': String(records.length) } };
}

function byOffset(request: SeenRequest): Reply {
  const start = Number(request.query.get('offset') ?? 0);
  const items = records.slice(start, start + Number(request.query.get('limit') ?? 10));
  return { body: { data: { items }, meta: { total: records.length } } };
}

/** Cursors are the index of the next record, in hexadecimal; null at the end. */
function byCursor(request: SeenRequest): Reply {
  const start = Number.parseInt(request.query.get('after') ?? '0', 16);
  const end = start + 10;
  return { body: { items: records.slice(start, end), after: end < records.length ? end.toString(16) : null } };
}

function byLink(request: SeenRequest): Reply {
  const page = Number(request.query.get('page') ?? 1);
  const last = Math.ceil(records.length / 10);
  const links = [`</items?page=1>; rel="first"`];
  if (page < last) links.push(`</items?page=${page + 1}&size=10>; title="a, b"; rel="last-but next"`);
  return { body: pageOf(records, request.query), headers: { link: links.join(', ') } };
}

function byNext(request: SeenRequest): Reply {
  const page = Number(request.query.get('page') ?? 1);
  return { body: { items: pageOf(records, request.query), next: page < 24 ? `?page=${page + 1}` : undefined } };
}

const size = { param: 'size', value: 10 };
const limit = { param: 'limit', value: 10 };
type Style = { name: string; reply: (request: SeenRequest) => Reply; options: Omit<HttpOptions, 'url'> };
const styles: Style[] = [
  {
    name: 'page with a total',
    reply: byPage,
    options: { pagination: { style: 'page', size, total: { header: 'X-Total' } } },
  },
  { name: 'page without a total', reply: byPage, options: { pagination: { style: 'page', size } } },
  { name: 'page without a size', reply: byPage, options: { pagination: { style: 'page' } } },
  {
    name: 'offset with a total',
    reply: byOffset,
    options: {
      items: 'data.items',
      pagination: { style: 'offset', size: limit, total: { path: 'meta.total' } },
    },
  },
  {
    name: 'offset without a total',
    reply: byOffset,
    options: { items: 'data.items', pagination: { style: 'offset', size: limit } },
  },
  {
    name: 'cursor',
    reply: byCursor,
    options: { items: 'items', pagination: { style: 'cursor', param: 'after', path: 'after' } },
  },
  { name: 'link', reply: byLink, options: { pagination: { style: 'link', size } } },
  { name: 'next', reply: byNext, options: { items: 'items', pagination: { style: 'next', path: 'next', size } } },
];

describe.each(styles)('style $name', ({ reply, options }) => {
  test.each([1, 3, 8])('gives every record once and in order, %i in flight', async (parallel) => {
    await using api = await startTroubledApi((request) => ({ ...reply(request), delay: (request.index * 7) % 5 }));
    const read = await readAll({ url: api.url, parallel, ...options }, { key: 'id' });
    expect(read.error).toBeUndefined();
    expect(read.records.map((record) => record.id)).toEqual(ids);
    expect(read.problems).toEqual([]);
    expect(api.mostAtOnce).toBeLessThanOrEqual(parallel);
    let row = 0;
    for (const chunk of read.chunks) {
      expect(chunk.span.from).toBe(row);
      row += chunk.span.rows;
    }
  });

  test('goes on from the resume point of every chunk', async () => {
    await using api = await startTroubledApi(reply);
    const whole = await readAll({ url: api.url, ...options }, { key: 'id' });
    expect(whole.chunks).toHaveLength(24);
    for (const { span } of whole.chunks.slice(-7)) {
      const from: ResumePoint = JSON.parse(JSON.stringify(span.next));
      const rest = await readAll({ url: api.url, ...options }, { key: 'id', from });
      expect(rest.error).toBeUndefined();
      expect(rest.chunks[0]?.span.from).toBe(from.row);
      expect(rest.records.map((record) => record.id)).toEqual(ids.slice(from.row));
      expect(rest.problems).toEqual([]);
    }
  });

  test('fetches little more than the limit asks for', async () => {
    await using api = await startTroubledApi(reply);
    const read = await readAll({ url: api.url, parallel: 8, ...options }, { limit: 15 });
    expect(read.chunks).toHaveLength(2);
    expect(api.requests.length).toBe(2);
    expect(read.problems).toEqual([]);
  });
});

test('a resume starts at a page near the end, not at the beginning', async () => {
  const many = people(400);
  await using api = await startTroubledApi((request) => ({ body: pageOf(many, request.query) }));
  const options: HttpOptions = { url: api.url, pagination: { style: 'page', size } };
  const whole = await readAll(options);
  const from = whole.chunks.at(-1)?.span.next;
  expect(from?.row).toBe(240);
  const before = api.requests.length;
  const rest = await readAll(options, { ...(from ? { from } : {}) });
  expect(rest.records.map((record) => record.id)).toEqual(many.slice(240).map((record) => record.id));
  expect(api.requests[before]?.query.get('page')).toBe('25');
});

test('a resume keeps the page size the listing was begun with', async () => {
  await using api = await startTroubledApi(byPage);
  const whole = await readAll({ url: api.url, pagination: { style: 'page', size } });
  const { row, token } = whole.chunks[2]!.span.next;
  expect(row).toBe(0);
  const third = JSON.parse(JSON.stringify(token).replace('"at":1', '"at":3'));
  const rest = await readAll(
    { url: api.url, pagination: { style: 'page', size: { param: 'size', value: 7 } } },
    { from: { row: 20, token: third } },
  );
  expect(rest.records.map((record) => record.id)).toEqual(ids.slice(20));
});

test('a token of another pagination style is refused', async () => {
  await using api = await startTroubledApi(byPage);
  const read = await readAll(
    { url: api.url, pagination: { style: 'page' } },
    { from: { row: 0, token: { style: 'cursor' } } },
  );
  expect(read.error).toMatchObject({ code: 'foreign-resume-token' });
  expect(api.requests).toHaveLength(0);
});

test('one request is all that style none makes', async () => {
  await using api = await startTroubledApi(() => ({ body: { rows: records } }));
  const read = await readAll({ url: api.url, items: 'rows' });
  expect(read.records).toEqual(records);
  expect(api.requests).toHaveLength(1);
  expect(read.problems).toEqual([]);
});

test('pages start at the number the options give', async () => {
  await using api = await startTroubledApi(({ query }) => ({
    body: records.slice(Number(query.get('p')) * 20, Number(query.get('p')) * 20 + 20),
  }));
  const read = await readAll({ url: api.url, pagination: { style: 'page', param: 'p', first: 0 } });
  expect(read.records).toEqual(records);
});

test('the query of the url is sent as written, pagination beside it', async () => {
  await using api = await startTroubledApi(() => ({ body: [] }));
  await readAll({ url: `${api.url}?fields=a,b&page[size]=5&page=9`, pagination: { style: 'page' } });
  await readAll({ url: `${api.url}?fields=a,b`, pagination: { style: 'offset', param: 'page[after]' } });
  expect(api.requests[0]?.query.get('page')).toBe('1');
  expect(api.requests[1]?.query.get('fields')).toBe('a,b');
  expect(api.requests[1]?.query.get('page[after]')).toBe('0');
});

test('pages that come out of order are handed on in order, and with a total in parallel', async () => {
  await using api = await startTroubledApi((request) => ({
    ...byPage(request),
    delay: 5 * (5 - (Number(request.query.get('page')) % 6)),
  }));
  const read = await readAll({
    url: api.url,
    parallel: 5,
    pagination: { style: 'page', size, total: { header: 'x-total' } },
  });
  expect(read.records).toEqual(records);
  expect(api.mostAtOnce).toBe(5);
  expect(api.requests).toHaveLength(24);
  expect(read.chunks[0]?.totalRows).toBe(237);
});

describe('POST', () => {
  test('sends the body as JSON, and page and size within it', async () => {
    await using api = await startTroubledApi((request) => {
      const { page } = JSON.parse(request.body);
      return { body: { hits: records.slice(page.number * 10, page.number * 10 + page.count) } };
    });
    const read = await readAll({
      url: api.url,
      method: 'POST',
      body: { query: { name: 'person' }, page: { sort: 'id' } },
      items: 'hits',
      pagination: {
        style: 'page',
        in: 'body',
        param: 'page.number',
        first: 0,
        size: { param: 'page.count', value: 10 },
      },
    });
    expect(read.records).toEqual(records);
    expect(api.requests[1]).toMatchObject({ method: 'POST', headers: { 'content-type': 'application/json' } });
    expect(api.requests.map(({ body }) => JSON.parse(body))).toContainEqual({
      query: { name: 'person' },
      page: { sort: 'id', number: 1, count: 10 },
    });
  });

  test('gives a cursor back as it came: lists, objects and large numbers', async () => {
    await using api = await startTroubledApi((request) => {
      const { search_after: after } = JSON.parse(request.body);
      if (after === undefined) return { body: '{"hits":[{"id":1}],"sort":[9007199254740993,"a"]}' };
      return { body: `{"hits":[{"id":2,"sent":${JSON.stringify(request.body)}}],"sort":null}` };
    });
    const read = await readAll({
      url: api.url,
      method: 'POST',
      items: 'hits',
      pagination: { style: 'cursor', in: 'body', param: 'search_after', path: 'sort' },
    });
    expect(read.records[1]?.sent).toBe('{"search_after":[9007199254740993,"a"]}');
    expect(read.records).toHaveLength(2);
  });

  test('may carry pagination in the query, and repeats its body for every page', async () => {
    await using api = await startTroubledApi(byPage);
    const read = await readAll({ url: api.url, method: 'POST', body: { q: 1 }, pagination: { style: 'page', size } });
    expect(read.records).toEqual(records);
    expect(new Set(api.requests.map((request) => request.body))).toEqual(new Set(['{"q":1}']));
  });
});

describe('json-server with all the cities', () => {
  let api: CitiesApi;
  beforeAll(async () => {
    api = await startCitiesApi(2_000);
  });
  afterAll(() => api[Symbol.asyncDispose]());

  const paginations: [string, HttpOptions['pagination']][] = [
    [
      'page',
      { style: 'page', param: '_page', size: { param: '_limit', value: 100 }, total: { header: 'X-Total-Count' } },
    ],
    [
      'offset',
      { style: 'offset', param: '_start', size: { param: '_limit', value: 300 }, total: { header: 'X-Total-Count' } },
    ],
    ['page without a total', { style: 'page', param: '_page', size: { param: '_limit', value: 70 } }],
  ];
  test.each(paginations)('is read whole by %s', async (_name, pagination) => {
    const read = await readAll({ url: api.url, items: '$', pagination, parallel: 8 }, { key: 'cityId' });
    expect(new Set(read.records.map((city) => city.cityId)).size).toBe(2_000);
    expect(read.records).toHaveLength(2_000);
    expect(verdicts(read)).toEqual({});
  });

  test('is read whole by Link headers', async () => {
    const url = `${api.url}?_page=1&_limit=100`;
    const read = await readAll({ url, pagination: { style: 'link', total: { header: 'X-Total-Count' } } });
    expect(read.records).toHaveLength(2_000);
    expect(verdicts(read)).toEqual({});
  });
});
