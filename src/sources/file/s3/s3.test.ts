import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { sourceConformance } from '../../../../test/conformance/source.js';
import { readContext } from '../../../../test/read-context.js';
import { readSource } from '../../../../test/servers/read-http.js';
import { type S3Server, s3Servers, startS3rver } from '../../../../test/servers/s3.js';
import { startTroubledApi } from '../../../../test/servers/troubled-api.js';
import { lineTo } from '../../../../test/sinks/postgres/line.js';
import type { Chunk, ResumePoint, Split } from '../../../contract/index.js';
import { type FileOptions, file } from '../index.js';

const rows = 40_000;
const numbers = Array.from({ length: rows }, (_, id) => id);
const csv = `id,name\n${numbers.map((id) => `${id},"quoted, ""twice""\nand ${id}"\n`).join('')}`;
const ndjson = numbers.map((id) => `{"id":${id},"name":"a name that is long enough, ${id}"}\n`).join('');

function surround(env: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
}

async function splitsOf(options: FileOptions): Promise<Split[]> {
  await using source = file(options);
  const splits: Split[] = [];
  for await (const split of source.splits(readContext())) splits.push(split);
  return splits;
}

async function bytesOf(options: FileOptions, split: Split, from?: ResumePoint): Promise<string> {
  await using source = file(options);
  const read: Buffer[] = [];
  for await (const chunk of source.read(split, from, readContext())) read.push(textOf(chunk));
  return Buffer.concat(read).toString();
}

function textOf(chunk: Chunk): Buffer {
  if (chunk.kind !== 'csv') throw new Error('not CSV');
  const text = Buffer.from(chunk.data);
  chunk.release?.();
  return text;
}

async function problemOf(options: FileOptions): Promise<{ code: unknown; message: string }> {
  await using source = file(options);
  const { error } = await readSource(source);
  if (!(error instanceof Error) || !('code' in error)) throw new Error(`no error of ours: ${error}`, { cause: error });
  return { code: error.code, message: error.message };
}

describe.each(s3Servers)('S3 on $name', ({ start }) => {
  let server: S3Server;
  beforeAll(async () => {
    server = await start();
    surround(server.env);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server[Symbol.asyncDispose]();
  });

  describe.each([
    ['rows.csv', csv],
    ['rows.csv.gz', gzipSync(csv)],
    ['rows.ndjson', ndjson],
    ['rows.ndjson.gz', gzipSync(ndjson)],
  ])('%s', (name, content) => {
    beforeAll(() => server.put(name, content));
    sourceConformance({ make: () => file({ path: `s3://shop/${name}` }), rows });
  });

  test('a glob finds the objects it matches, in the order of their keys, each with its fields, size and ETag', async () => {
    const etag = await server.put('orders/2026-02 a+ü.csv', 'id\n2\n');
    await server.put('orders/2026-01.csv', 'id,name\n1,a\n');
    await server.put('orders/2026-01.txt', 'no');
    await server.put('orders/old/2025.csv', 'id\n3\n');
    await server.put('orders/2026-03.csv.gz', gzipSync('id\n3\n'));
    await server.put('orders/', '');
    const splits = await splitsOf({ path: 's3://shop/orders/2026-*.csv*' });
    expect(splits).toEqual([
      expect.objectContaining({ id: 's3://shop/orders/2026-01.csv', fields: ['id', 'name'], bytes: 12 }),
      { id: 's3://shop/orders/2026-02 a+ü.csv', fields: ['id'], bytes: 5, fingerprint: `5 ${etag}` },
      expect.objectContaining({ id: 's3://shop/orders/2026-03.csv.gz', fields: ['id'] }),
    ]);
    expect(splits[2]).not.toHaveProperty('bytes');
    expect(await splitsOf({ path: 's3://shop/orders/**/*.csv' })).toHaveLength(3);
    const all = await splitsOf({ path: ['s3://shop/orders/2026-01.csv', 's3://shop/orders/*.csv'] });
    expect(all.map(({ id }) => id)).toEqual(['s3://shop/orders/2026-01.csv', 's3://shop/orders/2026-02 a+ü.csv']);
  });

  test('an object whose key looks like a glob is that object', async () => {
    await server.put('odd/[1].csv', 'id\n1\n');
    await server.put('odd/1.csv', 'id\n2\n');
    expect(await splitsOf({ path: 's3://shop/odd/[1].csv' })).toMatchObject([{ id: 's3://shop/odd/[1].csv' }]);
  });

  test('an empty object is read, and has no fields', async () => {
    await server.put('empty/0.csv', '');
    for (const path of ['s3://shop/empty/0.csv', 's3://shop/empty/*.csv']) {
      const [split] = await splitsOf({ path });
      expect(split).toMatchObject({ bytes: 0 });
      expect(split).not.toHaveProperty('fields');
      expect(await bytesOf({ path }, split!)).toBe('');
    }
  });

  test('an object that was replaced since it was listed is not read on, and gets another fingerprint', async () => {
    const path = 's3://shop/replaced.csv';
    await server.put('replaced.csv', csv);
    const [before] = await splitsOf({ path });
    await server.put('replaced.csv', csv.replaceAll('quoted', 'QUOTED'));
    const [after] = await splitsOf({ path });
    expect(after!.fingerprint).not.toBe(before!.fingerprint);
    await expect(bytesOf({ path }, before!)).rejects.toMatchObject({ code: 'source-changed' });
    await expect(bytesOf({ path }, before!, { row: 9, token: 300_000 })).rejects.toMatchObject({
      code: 'source-changed',
      message: expect.stringContaining(path),
    });
  });

  test('what is missing is told by its name', async () => {
    expect(await problemOf({ path: 's3://shop/none.csv' })).toEqual({
      code: 'no-such-file',
      message: "s3://shop/none.csv can't be read: there is no such object",
    });
    for (const path of ['s3://no-such-shop/a.csv', 's3://no-such-shop/*.csv']) {
      expect(await problemOf({ path })).toMatchObject({ code: 'no-such-bucket' });
    }
    expect(await problemOf({ path: 's3://shop/none/*.csv' })).toMatchObject({
      code: 'no-files',
      message: expect.stringContaining('begin with s3://shop/none/'),
    });
  });
});

describe('S3', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3rver();
    await server.put('rows.csv', csv);
    await server.put('rows.csv.gz', gzipSync(csv));
  });
  beforeEach(() => {
    surround(server.env);
    return () => {
      vi.unstubAllEnvs();
    };
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each(['rows.csv', 'rows.csv.gz'])(
    'a download that breaks is taken up at the byte where it broke: %s',
    async (name) => {
      const path = `s3://shop/${name}`;
      const [split] = await splitsOf({ path });
      await using line = await lineTo(server.url);
      surround({ AWS_ENDPOINT_URL_S3: line.url });
      let passed = 0;
      let cuts = 0;
      const ranges: string[] = [];
      line.onSent = (data) => {
        ranges.push(...(/^range: (.*)$/im.exec(data.toString('latin1'))?.slice(1) ?? []));
        return true;
      };
      line.onAnswer = (data) => {
        passed += data.length;
        if (passed < 100_000) return true;
        passed = 0;
        cuts += 1;
        return false;
      };
      expect(await bytesOf({ path }, split!)).toBe(csv.slice('id,name\n'.length));
      expect(cuts).toBeGreaterThan(name.endsWith('.gz') ? 1 : 10);
      expect(new Set(ranges).size).toBeGreaterThan(cuts / 2);
    },
  );

  test('a store that is gone for good ends the reading, and names the object', async () => {
    const path = 's3://shop/rows.csv';
    const [split] = await splitsOf({ path });
    await using line = await lineTo(server.url);
    surround({ AWS_ENDPOINT_URL_S3: line.url, AWS_MAX_ATTEMPTS: '1' });
    let passed = 0;
    line.onAnswer = (data) => {
      passed += data.length;
      return passed < 400_000;
    };
    await expect(bytesOf({ path }, split!)).rejects.toMatchObject({
      code: 'read-failed',
      message: expect.stringContaining(path),
    });
  });

  test('reading on asks for no byte before the point but the first ones', async () => {
    const path = 's3://shop/rows.csv';
    const [split] = await splitsOf({ path });
    await using line = await lineTo(server.url);
    surround({ AWS_ENDPOINT_URL_S3: line.url });
    const ranges: string[] = [];
    line.onSent = (data) => {
      ranges.push(...(/^range: (.*)$/im.exec(data.toString('latin1'))?.slice(1) ?? []));
      return true;
    };
    const offset = csv.indexOf('\n30000,') + 1;
    expect(await bytesOf({ path }, split!, { row: 30_000, token: offset })).toBe(csv.slice(offset));
    expect(ranges).toEqual(['bytes=0-262143', `bytes=${offset}-${csv.length - 1}`]);
  });

  test('what nobody reads is not fetched', async () => {
    const size = 100_000_000;
    const etag = '"long"';
    const line = Buffer.from(`1,${'x'.repeat(97)}\n`);
    let sent = 0;
    function* bytes(from: number, to: number) {
      for (let at = from; at < to; at += 100_000) {
        sent += 100_000;
        yield Buffer.alloc(Math.min(100_000, to - at), line);
      }
    }
    const store = createServer((request, response) => {
      const [, from = 0, to = 0] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')?.map(Number) ?? [];
      response.writeHead(206, {
        etag,
        'content-range': `bytes ${from}-${to}/${size}`,
        'content-length': to + 1 - from,
      });
      Readable.from(bytes(from, to + 1)).pipe(response);
    });
    await new Promise<void>((listening) => store.listen(0, '127.0.0.1', listening));
    surround({ AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(store.address() as AddressInfo).port}` });
    await using source = file({ path: 's3://shop/long.csv', fields: ['id', 'text'] });
    const split = { id: 's3://shop/long.csv', fingerprint: `${size} ${etag}` };
    let rows = 0;
    for await (const chunk of source.read(split, undefined, readContext())) {
      rows += chunk.span.rows;
      if (chunk.span.from === 0) continue;
      await new Promise((resolve) => setTimeout(resolve, 500));
      break;
    }
    store.closeAllConnections();
    store.close();
    expect(rows).toBeGreaterThan(1_000);
    // The buffers of the line take some.
    expect(sent).toBeLessThan(20_000_000);
  });

  test('listings of more than a page are read to their end', async () => {
    await using store = await startTroubledApi(({ index }) => {
      if (index > 1) return { status: 404, body: '' };
      const keys = ['a', 'b'].map((letter) => `${letter}${index}`);
      const contents = keys.map(
        (key) => `<Contents><Key>${key}.ndjson</Key><Size>3</Size><ETag>"${key}"</ETag></Contents>`,
      );
      const more =
        index === 0 ? '<IsTruncated>true</IsTruncated><NextContinuationToken>on</NextContinuationToken>' : '';
      return {
        headers: { 'content-type': 'application/xml' },
        body: `<?xml version="1.0"?><ListBucketResult>${more}${contents.join('')}</ListBucketResult>`,
      };
    });
    surround({ AWS_ENDPOINT_URL_S3: new URL(store.url).origin });
    const splits = await splitsOf({ path: 's3://shop/*.ndjson' });
    expect(splits.map(({ id }) => id)).toEqual(['a0', 'b0', 'a1', 'b1'].map((key) => `s3://shop/${key}.ndjson`));
    expect(store.requests[1]!.query.get('continuation-token')).toBe('on');
  });

  test('wrong and missing credentials, regions and stores are told with what to do', async () => {
    const path = 's3://shop/rows.csv';
    surround({ AWS_ACCESS_KEY_ID: 'nobody' });
    expect(await problemOf({ path })).toMatchObject({ code: 'bad-credentials' });
    surround({
      AWS_ACCESS_KEY_ID: undefined,
      AWS_SECRET_ACCESS_KEY: undefined,
      AWS_EC2_METADATA_DISABLED: 'true',
      HOME: '/nonexistent',
    });
    expect(await problemOf({ path })).toMatchObject({
      code: 'no-credentials',
      message: expect.stringContaining('AWS_PROFILE'),
    });
    surround({ ...server.env, AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined });
    expect(await problemOf({ path })).toMatchObject({
      code: 'no-region',
      message: expect.stringContaining('AWS_REGION'),
    });
    surround({ ...server.env, AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1', AWS_MAX_ATTEMPTS: '1' });
    expect(await problemOf({ path })).toMatchObject({ code: 's3-unreachable' });
  });

  test.each([
    ['<Error><Code>AccessDenied</Code><Message>no</Message></Error>', 403, 'no-permission'],
    ['<Error><Code>InvalidObjectState</Code><Message>no</Message></Error>', 403, 'archived'],
    ['<Error><Code>ExpiredToken</Code><Message>no</Message></Error>', 400, 'bad-credentials'],
    ['<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message></Error>', 400, 'wrong-region'],
    ['<Error><Code>Strange</Code><Message>very odd</Message></Error>', 400, 'read-failed'],
  ])('%s is told', async (text, status, code) => {
    await using store = await startTroubledApi(() => ({
      status,
      body: text,
      headers: { 'content-type': 'application/xml' },
    }));
    surround({ AWS_ENDPOINT_URL_S3: new URL(store.url).origin });
    const problem = await problemOf({ path: 's3://shop/rows.csv' });
    expect(problem).toMatchObject({ code, message: expect.stringContaining('s3://shop/rows.csv') });
    if (code === 'read-failed') expect(problem.message).toContain('very odd');
  });

  test.each(['s3://shop', 's3://shop/', 's3://shop/folder/', 's3:///key.csv', 's3://sh*p/key.csv'])(
    'an address that names no object is refused at once: %s',
    (path) => {
      expect(() => file({ path, format: 'csv' })).toThrow(expect.objectContaining({ code: 'bad-option' }));
    },
  );
});
