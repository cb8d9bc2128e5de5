import { describe, expect, test } from 'vitest';
import { defectsOf, quick, readAll, verdicts } from '../../../test/servers/read-http.js';
import { pageOf, people, type Reply, type SeenRequest, startTroubledApi } from '../../../test/servers/troubled-api.js';
import { isLosslessNumber, stringifyJson } from '../../formats/json.js';
import type { HttpOptions } from './index.js';

const records = people(100);
const size = { param: 'size', value: 10 };
const total = { header: 'x-total' };
const told = (count: number) => ({ 'x-total': String(count) });
const pages = { style: 'page', size } as const;
const pagesWithTotal = { style: 'page', size, total } as const;

/** A listing with a total, in which the trouble replaces some of the pages. */
function listing(trouble: (request: SeenRequest, page: number) => Reply | undefined, count = records.length) {
  return (request: SeenRequest): Reply =>
    trouble(request, Number(request.query.get('page'))) ?? {
      body: pageOf(records, request.query),
      headers: told(count),
    };
}

describe('ignored-offset', () => {
  const all = people(163);
  const paginations: HttpOptions['pagination'][] = [
    { style: 'page', size },
    { style: 'offset', size },
    { style: 'page' },
    { style: 'page', size, total: { header: 'x-total' } },
  ];
  test.each(paginations)('the same page again and again stops the reading: %o', async (pagination) => {
    await using api = await startTroubledApi(() => ({ body: all, headers: told(1_000) }));
    const read = await readAll({ url: api.url, pagination, parallel: 4 });
    expect(read.error).toBeUndefined();
    expect(read.records).toHaveLength(163);
    expect(defectsOf(read)).toHaveLength(163);
    expect(new Set(defectsOf(read).map(([, what]) => what))).toEqual(new Set(['duplicate']));
    expect(verdicts(read)).toMatchObject({ 'ignored-offset': true });
    expect(api.requests.length).toBeLessThanOrEqual(8);
  });

  test('a total that equals the rows proves the listing whole without asking on', async () => {
    await using api = await startTroubledApi(() => ({ body: all, headers: told(163) }));
    const read = await readAll({ url: api.url, pagination: { style: 'offset', total } }, { key: 'id' });
    expect(read.records).toHaveLength(163);
    expect(verdicts(read)).toEqual({});
    expect(api.requests).toHaveLength(2);
  });

  test('a last page given again for every page after it is the end when the total agrees', async () => {
    await using api = await startTroubledApi(({ query }) => ({
      body: pageOf(records, new URLSearchParams({ page: String(Math.min(10, Number(query.get('page')))), size: '10' })),
      headers: told(100),
    }));
    const read = await readAll({ url: api.url, pagination: pagesWithTotal });
    expect(read.records).toHaveLength(100);
    expect(verdicts(read)).toEqual({});
  });

  test('a field that differs each time does not hide the repeat from the key', async () => {
    let clock = 0;
    await using api = await startTroubledApi(() => ({
      body: people(10).map((person) => ({ ...person, at: clock++ })),
    }));
    const read = await readAll({ url: api.url, pagination: pages }, { key: 'id' });
    expect(read.records).toHaveLength(10);
    expect(verdicts(read)).toEqual({ 'ignored-offset': true, overlap: true });
    expect(api.requests.length).toBeLessThan(10);
  });

  test('a cursor that is ignored is noticed too', async () => {
    await using api = await startTroubledApi(({ index }) => ({ body: { items: people(5), cursor: `c${index}` } }));
    const read = await readAll({ url: api.url, items: 'items', pagination: { style: 'cursor', path: 'cursor' } });
    expect(read.records).toHaveLength(5);
    expect(verdicts(read)).toEqual({ 'ignored-offset': true });
  });
});

describe('cursor-loop', () => {
  test('a cursor seen before stops the reading', async () => {
    const next: Record<string, string> = { '': 'a', a: 'b', b: 'c', c: 'a' };
    await using api = await startTroubledApi(({ query, index }) => ({
      body: { items: people(5, index * 5), cursor: next[query.get('cursor') ?? ''] },
    }));
    const read = await readAll({ url: api.url, items: 'items', pagination: { style: 'cursor', path: 'cursor' } });
    expect(read.records).toHaveLength(20);
    expect(verdicts(read)).toEqual({ 'cursor-loop': true });
    expect(api.requests).toHaveLength(4);
  });

  test('a next URL that leads back to the first page stops the reading', async () => {
    await using api = await startTroubledApi(({ index }) => ({
      body: { items: people(5, index * 5), next: index === 0 ? '/items?page=2' : '/items' },
    }));
    const read = await readAll({ url: api.url, items: 'items', pagination: { style: 'next', path: 'next' } });
    expect(read.records).toHaveLength(10);
    expect(verdicts(read)).toEqual({ 'cursor-loop': true });
  });

  test('the same cursor with an empty page is the end, as feeds have it', async () => {
    await using api = await startTroubledApi(({ query }) => ({
      body: { items: query.has('cursor') ? [] : people(5), cursor: 'here' },
    }));
    const read = await readAll({ url: api.url, items: 'items', pagination: { style: 'cursor', path: 'cursor' } });
    expect(read.records).toHaveLength(5);
    expect(verdicts(read)).toEqual({});
  });

  test('new cursors without records do not lead on for ever', async () => {
    await using api = await startTroubledApi(({ index }) => ({ body: { items: [], cursor: index + 1 } }));
    const read = await readAll({ url: api.url, items: 'items', pagination: { style: 'cursor', path: 'cursor' } });
    expect(verdicts(read)).toEqual({ 'cursor-loop': true });
    expect(api.requests).toHaveLength(1_000);
  });
});

describe('overlap', () => {
  /** A record is put in front after the third page, so every later page begins with the last record of the one before. */
  const shifted = (request: SeenRequest): Reply => {
    const page = Number(request.query.get('page'));
    const now = page > 3 ? [{ id: 0, name: 'new' }, ...records] : records;
    return { body: pageOf(now, request.query), headers: told(now.length) };
  };

  test('records that come again are duplicates by key, and the listing is not proven whole', async () => {
    await using api = await startTroubledApi(shifted);
    const read = await readAll({ url: api.url, pagination: pagesWithTotal }, { key: 'id' });
    expect(read.records.map((record) => record.id)).toEqual(records.map((record) => record.id));
    expect(defectsOf(read)).toEqual([[30, 'duplicate']]);
    expect(verdicts(read)).toEqual({ overlap: true, 'total-drift': true, 'total-mismatch': true });
  });

  test('without a key it is reported and nothing is dropped', async () => {
    await using api = await startTroubledApi(shifted);
    const read = await readAll({ url: api.url, pagination: pages });
    expect(read.records).toHaveLength(101);
    expect(defectsOf(read)).toEqual([]);
    expect(verdicts(read)).toEqual({ overlap: true });
  });

  test('pages that overlap by design are whole when the total says so', async () => {
    await using api = await startTroubledApi(({ query }) => {
      const start = (Number(query.get('page')) - 1) * 9;
      return { body: records.slice(start, start + 10), headers: told(100) };
    });
    const read = await readAll({ url: api.url, pagination: pagesWithTotal }, { key: 'id' });
    expect(read.records).toHaveLength(100);
    expect(verdicts(read)).toEqual({ overlap: false });
  });

  test('a record that moved far is known again within the window', async () => {
    await using api = await startTroubledApi(
      listing((_request, page) => (page === 9 ? { body: people(10, 5) } : undefined)),
    );
    const read = await readAll({ url: api.url, pagination: pages }, { key: 'id' });
    expect(defectsOf(read)).toHaveLength(10);
    expect(verdicts(read)).toEqual({ overlap: true });
  });

  test('a resume goes on with the counts, so that the total still proves the listing', async () => {
    const many = people(300);
    await using api = await startTroubledApi(({ query }) => {
      const start = (Number(query.get('page')) - 1) * 9;
      return { body: many.slice(start, start + 10), headers: told(300) };
    });
    const whole = await readAll({ url: api.url, pagination: pagesWithTotal }, { key: 'id' });
    expect(verdicts(whole)).toEqual({ overlap: false });
    const from = JSON.parse(JSON.stringify(whole.chunks.at(-1)!.span.next));
    expect(from.row).toBeGreaterThan(100);
    const rest = await readAll({ url: api.url, pagination: pagesWithTotal }, { key: 'id', from });
    expect(verdicts(rest)).toEqual({ overlap: false });
  });

  test('an overlap over the seam of a resume is still seen', async () => {
    await using api = await startTroubledApi((request) => ({ body: pageOf(records, request.query) }));
    const first = await readAll({ url: api.url, pagination: pages }, { key: 'id', chunks: 3 });
    await using later = await startTroubledApi(shifted);
    const rest = await readAll(
      { url: later.url, pagination: pages },
      { key: 'id', from: first.chunks.at(-1)!.span.next },
    );
    expect(defectsOf(rest)).toEqual([[30, 'duplicate']]);
  });
});

describe('totals', () => {
  test('a total that grows with the listing is told, and the listing whole', async () => {
    await using api = await startTroubledApi(
      listing((request, page) => ({
        body: pageOf(people(page < 5 ? 95 : 100), request.query),
        headers: told(page < 5 ? 95 : 100),
      })),
    );
    const read = await readAll({ url: api.url, parallel: 1, pagination: pagesWithTotal }, { key: 'id' });
    expect(read.records).toHaveLength(100);
    expect(verdicts(read)).toEqual({ 'total-drift': false });
  });

  test('a total that shrinks means that rows may have been passed over', async () => {
    await using api = await startTroubledApi(
      listing((request, page) => {
        const now = page < 5 ? records : records.slice(1);
        return { body: pageOf(now, request.query), headers: told(now.length) };
      }),
    );
    const read = await readAll({ url: api.url, pagination: pagesWithTotal }, { key: 'id' });
    expect(read.records).toHaveLength(99);
    expect(verdicts(read)).toEqual({ 'total-drift': true });
  });

  test('a total that is too low hides no rows', async () => {
    await using api = await startTroubledApi(listing(() => undefined, 50));
    const read = await readAll({ url: api.url, pagination: pagesWithTotal });
    expect(read.records).toHaveLength(100);
    expect(verdicts(read)).toEqual({ 'total-mismatch': true });
  });

  test('pages after a total that is too low are read like all others, tries and all', async () => {
    let failed = 0;
    await using api = await startTroubledApi(
      listing((_request, page) => (page === 8 && failed++ < 2 ? { status: 503 } : undefined), 50),
    );
    const read = await readAll({ url: api.url, pagination: pagesWithTotal });
    expect(read.records).toHaveLength(100);
  });

  test('a total that is far too high is not believed for long', async () => {
    await using api = await startTroubledApi(listing(() => undefined, 1_000_000));
    const read = await readAll({ url: api.url, pagination: pagesWithTotal });
    expect(read.records).toHaveLength(100);
    expect(verdicts(read)).toEqual({ 'total-mismatch': true });
    expect(api.requests.length).toBeLessThan(20);
  });

  test('a total that never comes is told, and the listing read to its end', async () => {
    await using api = await startTroubledApi((request) => ({ body: pageOf(records, request.query) }));
    const read = await readAll({ url: api.url, pagination: pagesWithTotal });
    expect(read.records).toHaveLength(100);
    expect(verdicts(read)).toEqual({ 'no-total': false });
  });

  test('an API that fails after its last page has still been read whole when the total agrees', async () => {
    await using api = await startTroubledApi(listing((_request, page) => (page > 10 ? { status: 500 } : undefined)));
    const read = await readAll({ url: api.url, pagination: pagesWithTotal });
    expect(read.error).toBeUndefined();
    expect(read.records).toHaveLength(100);
    expect(verdicts(read)).toEqual({});
  });

  test('any status behind an empty page is part of the end, a lost connection is not', async () => {
    const end = (after: Reply) => listing((_request, page) => (page > 11 ? after : undefined));
    await using api = await startTroubledApi(end({ status: 400 }));
    expect((await readAll({ url: api.url, pagination: pages })).error).toBeUndefined();
    await using dead = await startTroubledApi(end({ cutAfter: -1 }));
    expect((await readAll({ url: dead.url, pagination: pages })).error).toMatchObject({ code: 'connection-lost' });
  });

  test('404 after the last page is the end', async () => {
    await using api = await startTroubledApi(listing((_request, page) => (page > 10 ? { status: 404 } : undefined)));
    const read = await readAll({ url: api.url, pagination: pages });
    expect(read.error).toBeUndefined();
    expect(read.records).toHaveLength(100);
  });
});

describe('short and empty pages', () => {
  test('a short page in the middle is told', async () => {
    const short = listing((request, page) =>
      page === 4 ? { body: pageOf(records, request.query).slice(3) } : undefined,
    );
    await using api = await startTroubledApi(short);
    expect(verdicts(await readAll({ url: api.url, pagination: pages }))).toEqual({ 'short-page': true });
    await using second = await startTroubledApi(short);
    expect(verdicts(await readAll({ url: second.url, pagination: pagesWithTotal }))).toEqual({
      'short-page': true,
      'total-mismatch': true,
    });
  });

  test('short pages are no loss when the total agrees', async () => {
    await using api = await startTroubledApi((request) => {
      const page = Number(request.query.get('page'));
      const cuts = [0, 10, 20, 27, 37, 47, 57];
      return { body: records.slice(cuts[page - 1] ?? 57, cuts[page] ?? 57), headers: told(57) };
    });
    const read = await readAll({ url: api.url, pagination: pagesWithTotal });
    expect(read.records).toEqual(records.slice(0, 57));
    expect(verdicts(read)).toEqual({ 'short-page': false });
  });

  test.each([pages, pagesWithTotal])('an empty page in the middle does not end the listing: %o', async (pagination) => {
    await using api = await startTroubledApi(
      listing((_request, page) => (page === 5 ? { body: [], headers: told(100) } : undefined)),
    );
    const read = await readAll({ url: api.url, parallel: 3, pagination });
    expect(read.records).toHaveLength(90);
    expect(verdicts(read)).toMatchObject({ 'empty-page': true });
  });

  test('an empty page that a cursor leads past is told, and no loss', async () => {
    await using api = await startTroubledApi(({ index }) => ({
      body: { items: index === 1 ? [] : people(5, index * 5), cursor: index < 3 ? index + 1 : '' },
    }));
    const read = await readAll({ url: api.url, items: 'items', pagination: { style: 'cursor', path: 'cursor' } });
    expect(read.records).toHaveLength(15);
    expect(verdicts(read)).toEqual({ 'empty-page': false });
  });

  test('an empty listing is empty', async () => {
    await using api = await startTroubledApi(() => ({ body: [] }));
    for (const pagination of [pages, { style: 'offset', size }, { style: 'link' }, { style: 'none' }] as const) {
      const read = await readAll({ url: api.url, pagination });
      expect([read.chunks, read.problems, read.error]).toEqual([[], [], undefined]);
    }
  });

  test('null and {} stand for an empty list, as Go and protobuf write it', async () => {
    await using api = await startTroubledApi(({ index }) => ({ body: index === 0 ? { items: null } : {} }));
    for (let i = 0; i < 2; i++) expect((await readAll({ url: api.url, items: 'items' })).error).toBeUndefined();
  });
});

describe('page-size-capped', () => {
  const capped = (request: SeenRequest, cap: number): Reply => {
    const start = Number(request.query.get('offset'));
    return { body: records.slice(start, start + Math.min(cap, Number(request.query.get('size')))) };
  };

  test.each([1, 4])('by offset, steps are by the records that came, %i in flight', async (parallel) => {
    await using api = await startTroubledApi((request) => capped(request, 7));
    const read = await readAll({ url: api.url, parallel, pagination: { style: 'offset', size } });
    expect(read.records).toEqual(records);
    expect(verdicts(read)).toEqual({ 'page-size-capped': false });
  });

  test.each([1, 4])('by offset, the rest of a short page is asked for, %i in flight', async (parallel) => {
    await using api = await startTroubledApi((request) =>
      capped(request, request.query.get('offset') === '40' ? 4 : 10),
    );
    const read = await readAll({ url: api.url, parallel, pagination: { style: 'offset', size } });
    expect(read.records).toEqual(records);
    expect(verdicts(read)).toEqual({ 'short-page': false });
  });

  test('by offset, pages of ever changing sizes lose nothing', async () => {
    await using api = await startTroubledApi((request) =>
      capped(request, 1 + ((Number(request.query.get('offset')) * 13) % 9)),
    );
    const read = await readAll({ url: api.url, pagination: { style: 'offset', size } });
    expect(read.records).toEqual(records);
  });

  test('by offset, an API that ignores the size is read in the size it gives', async () => {
    await using api = await startTroubledApi(({ query }) => {
      const start = Number(query.get('offset'));
      return { body: records.slice(start, start + (start === 0 ? 20 : 30)) };
    });
    const read = await readAll({ url: api.url, pagination: { style: 'offset', size } });
    expect(read.records).toEqual(records);
  });

  test('by page, an API that counts pages by its own size is read whole, and proven by the total', async () => {
    await using api = await startTroubledApi(({ query }) => ({ body: pageOf(records, query, 5), headers: told(100) }));
    const read = await readAll({ url: api.url, pagination: pagesWithTotal });
    expect(read.records).toEqual(records);
    expect(verdicts(read)).toEqual({ 'page-size-capped': false });
  });

  test('by page, an API that skips what it cut is not called whole', async () => {
    await using api = await startTroubledApi(({ query }) => ({
      body: pageOf(records, query, 10).slice(0, 5),
      headers: told(100),
    }));
    const proven = await readAll({ url: api.url, pagination: pagesWithTotal });
    expect(proven.records).toHaveLength(50);
    expect(verdicts(proven)).toEqual({ 'page-size-capped': true, 'total-mismatch': true });
    const unproven = await readAll({ url: api.url, pagination: pages });
    expect(verdicts(unproven)).toEqual({ 'page-size-capped': true });
  });
});

describe('bodies', () => {
  const html = '<!doctype html><title>Maintenance</title>';
  const cases: [string, string, Reply][] = [
    ['HTML', 'not-json', { body: html, headers: { 'content-type': 'text/html' } }],
    ['an empty body', 'not-json', { body: '' }],
    ['JSON that breaks off', 'truncated-body', { body: '[{"id": 1}, {"id": ' }],
    ['a connection that ends within the body', 'truncated-body', { body: people(50), cutAfter: 100 }],
    [
      'gzip data that ends early',
      'truncated-body',
      { body: Buffer.from('1f8b0800', 'hex'), headers: { 'content-encoding': 'gzip' } },
    ],
    ['an error told with status 200', 'not-a-list', { body: { error: 'busy' } }],
  ];

  test.each(cases)('%s is asked for again, and told', async (_what, name, reply) => {
    let failed = 0;
    await using api = await startTroubledApi(
      listing((_request, page) => (page === 3 && failed++ < 2 ? reply : undefined)),
    );
    const read = await readAll({ url: api.url, pagination: pages });
    expect(read.error).toBeUndefined();
    expect(read.records).toEqual(records);
    expect(verdicts(read)).toEqual({ [name]: false });
  });

  test.each(cases)('%s that persists ends the reading, by its name', async (_what, name, reply) => {
    await using api = await startTroubledApi(listing((_request, page) => (page === 3 ? reply : undefined)));
    const read = await readAll({ url: api.url, pagination: pages, retries: { ...quick, attempts: 3 } });
    expect(read.records).toEqual(records.slice(0, 20));
    expect(read.error).toMatchObject({ name: 'SourceError', code: name });
    expect(String(read.error)).toContain('page 3');
    expect(String(read.error)).toContain('tried 3 times');
    expect(verdicts(read)).toEqual({ [name]: true });
    expect(api.requests.filter(({ query }) => query.get('page') === '3')).toHaveLength(3);
  });

  test('the error of an HTML page shows its start', async () => {
    await using api = await startTroubledApi(() => ({ body: html }));
    const read = await readAll({ url: api.url, retries: { attempts: 1 } });
    expect(String(read.error)).toContain('<title>Maintenance</title>');
  });

  test('where there is no list at the path of the items, those that there are are named', async () => {
    const body = { meta: { tags: ['a'], pages: [{}] }, data: { items: [{ id: 1 }], 'odd name': [{ id: 2 }] } };
    await using api = await startTroubledApi(() => ({ body }));
    const read = await readAll({ url: api.url, items: 'data', retries: { attempts: 1 } });
    expect(String(read.error)).toContain('gave no list at data');
    expect(String(read.error)).toContain(
      'set items to the path of the list in the body, which has lists at meta.pages, data.items, data["odd name"]',
    );
  });

  test('items that are not objects are malformed and keep their row numbers', async () => {
    await using api = await startTroubledApi(() => ({ body: '[{"id":1},7,null,"x",[1],1.10,{"id":2}]' }));
    const read = await readAll({ url: api.url });
    expect(defectsOf(read)).toEqual([1, 2, 3, 4, 5].map((row) => [row, 'not-an-object']));
    expect(read.records).toEqual([{ id: 1 }, { id: 2 }]);
    expect(read.chunks[0]?.defects?.get(3)).toMatchObject({ record: 'x' });
  });

  test('bytes that are not UTF-8 cost only the record they stand in', async () => {
    const body = Buffer.concat([
      Buffer.from('[{"name":"Grüße \ufffd"},{"name":"Gr'),
      Buffer.from([0xfc, 0xdf]),
      Buffer.from('e","id":2},{"name":"日本"}]'),
    ]);
    await using api = await startTroubledApi(() => ({ body }));
    const read = await readAll({ url: api.url });
    expect(read.records).toEqual([{ name: 'Grüße \ufffd' }, { name: '日本' }]);
    expect(defectsOf(read)).toEqual([[1, 'invalid-utf8']]);
    const defect = read.chunks[0]?.defects?.get(1);
    const base64 = Buffer.from([0x47, 0x72, 0xfc, 0xdf, 0x65]).toString('base64');
    expect(defect).toMatchObject({ record: { name: { base64 }, id: 2 } });
  });

  test('numbers arrive digit for digit', async () => {
    await using api = await startTroubledApi(() => ({ body: '[{"price":1.10,"id":9007199254740993,"n":5}]' }));
    const read = await readAll({ url: api.url });
    expect(stringifyJson(read.records[0])).toBe('{"price":1.10,"id":9007199254740993,"n":5}');
    expect(isLosslessNumber(read.records[0]?.price)).toBe(true);
    expect(read.records[0]?.n).toBe(5);
  });
});

describe('ways on', () => {
  test('a next link that style none does not follow is told', async () => {
    await using api = await startTroubledApi(() => ({ body: people(10), headers: { link: '<?page=2>; rel=next' } }));
    expect(verdicts(await readAll({ url: api.url }))).toEqual({ 'more-pages': true });
  });

  test('a full first page without a word about the next is told', async () => {
    await using api = await startTroubledApi(() => ({ body: people(10) }));
    expect(verdicts(await readAll({ url: api.url, pagination: { style: 'link', size } }))).toEqual({ 'no-next': true });
  });

  test('a next URL on another server is not asked, and the page that named it is kept', async () => {
    await using other = await startTroubledApi(() => ({ body: [] }));
    await using api = await startTroubledApi(() => ({ body: { items: people(3), next: other.url } }));
    const read = await readAll({
      url: api.url,
      auth: { bearer: 'very-secret' },
      items: 'items',
      pagination: { style: 'next', path: 'next' },
    });
    expect(read.records).toHaveLength(3);
    expect(read.error).toMatchObject({ code: 'foreign-next-url' });
    expect(other.requests).toHaveLength(0);
  });

  test('an API that dies half-way ends the reading after what it gave', async () => {
    await using api = await startTroubledApi(listing((_request, page) => (page > 5 ? { cutAfter: -1 } : undefined)));
    const read = await readAll({ url: api.url, pagination: pagesWithTotal, retries: { ...quick, attempts: 2 } });
    expect(read.records).toEqual(records.slice(0, 50));
    expect(read.error).toMatchObject({ name: 'SourceError', code: 'connection-lost' });
  });
});
