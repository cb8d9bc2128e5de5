import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LambdaContext } from '../../src/hosts/lambda/context.js';
import type { LoadEvent } from '../../src/hosts/lambda/event.js';
import type { Result } from '../../src/hosts/lambda/result.js';
import { selfInvoking } from '../../src/hosts/lambda/self.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';
import { type Invoked, type Sandbox, startSandbox } from './lambda.js';

/** Lambda's Invoke, as far as it is asked here: it takes events, which are to be delivered later. */
interface InvokeApi extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  /** What was taken and was not delivered yet. */
  readonly events: unknown[];
  readonly requests: { readonly path: string; readonly type: unknown }[];
  /** Answers so instead of taking an event. */
  refusal: { readonly status: number; readonly type: string } | undefined;
}

async function startInvokeApi(): Promise<InvokeApi> {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request.setEncoding('utf8')) text += piece;
    api.requests.push({ path: decodeURIComponent(request.url ?? ''), type: request.headers['x-amz-invocation-type'] });
    if (api.refusal === undefined) {
      api.events.push(JSON.parse(text));
      response.writeHead(202).end();
      return;
    }
    const { status, type } = api.refusal;
    response
      .writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': type })
      .end('{"Message":"no"}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const api: InvokeApi = {
    env: {
      GO_ON: 'self',
      AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${port}`,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'id',
      AWS_SECRET_ACCESS_KEY: 'key',
    },
    events: [],
    requests: [],
    refusal: undefined,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
  return api;
}

/** More than an invocation of two seconds, of which half a second is kept back, can load on a fast machine, twice over. */
const rows = 6_000_000;
const limit = 2_000;

let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-self-'));
  path = join(folder, 'rows.csv');
  const lines = (_: unknown, part: number) =>
    Array.from({ length: 10_000 }, (_, i) => `${part * 10_000 + i},record\n`).join('');
  await writeFile(path, ['id,name\n', ...Array.from({ length: rows / 10_000 }, lines)]);
});
afterAll(() => rm(folder, { recursive: true }));

function jobFor(database: ScratchDatabase): string {
  return JSON.stringify({
    source: { file: { path } },
    sink: { postgres: { url: database.url, table: 'loaded', mode: 'append' } },
  });
}

/** Delivers what was taken, one after another, each as often as `times` says, until nothing is left. */
async function deliver(
  invokes: InvokeApi,
  sandbox: Sandbox,
  most: number,
  times: (delivery: number) => number = () => 1,
): Promise<Invoked[]> {
  const all: Invoked[] = [];
  for (let delivery = 0; invokes.events.length > 0 && delivery < most; delivery++) {
    const event = invokes.events.shift();
    for (let i = 0; i < times(delivery); i++) all.push(await sandbox.invoke(event, { limit }));
  }
  return all;
}

async function found(database: ScratchDatabase): Promise<unknown> {
  const { rows } = await database.client.query(
    'SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids FROM loaded',
  );
  return rows[0];
}

describe('a function that invokes itself', () => {
  test('goes on until the load is complete, and an event delivered twice changes nothing', {
    timeout: 180_000,
  }, async () => {
    await using database = await scratchDatabase();
    await using invokes = await startInvokeApi();
    await database.client.query('CREATE TABLE loaded (id int, name text)');
    await using sandbox = await startSandbox({ ...invokes.env, JOB: jobFor(database) });
    const first = await sandbox.invoke({ run: 'nightly' }, { limit });
    expect(first).toMatchObject({ kind: 'answer', value: { status: 'continue' } });
    expect(invokes.events).toHaveLength(1);
    const rest = await deliver(invokes, sandbox, 80, (delivery) => (delivery % 2 === 0 ? 2 : 1));
    expect(await found(database)).toEqual({ rows, ids: rows });
    expect(rest.filter(({ kind }) => kind !== 'answer')).toEqual([]);
    expect(rest.at(-1)).toMatchObject({ value: { status: 'complete' } });
    expect(invokes.events).toEqual([]);
    expect(invokes.requests.length).toBeGreaterThan(1);
    for (const request of invokes.requests) {
      const arn = 'arn:aws:lambda:eu-central-1:000000000000:function:test';
      expect(request).toEqual({ path: `/2015-03-31/functions/${arn}/invocations`, type: 'Event' });
    }
    expect(sandbox.starts).toBe(1);
  });

  test('and is stopped by Lambda as a loop has lost nothing: the next event of a schedule goes on', {
    timeout: 180_000,
  }, async () => {
    await using database = await scratchDatabase();
    await using invokes = await startInvokeApi();
    await database.client.query('CREATE TABLE loaded (id int, name text)');
    await using sandbox = await startSandbox({ ...invokes.env, JOB: jobFor(database) });
    await sandbox.invoke({}, { limit });
    await deliver(invokes, sandbox, 1);
    expect(invokes.events).toHaveLength(1);
    invokes.events.length = 0;
    await sandbox.invoke({}, { limit });
    await deliver(invokes, sandbox, 80);
    expect(await found(database)).toEqual({ rows, ids: rows });
  });

  test('and may not is told so, and the event that is tried again goes on', { timeout: 180_000 }, async () => {
    await using database = await scratchDatabase();
    await using invokes = await startInvokeApi();
    await database.client.query('CREATE TABLE loaded (id int, name text)');
    await using sandbox = await startSandbox({ ...invokes.env, JOB: jobFor(database) });
    invokes.refusal = { status: 403, type: 'AccessDeniedException' };
    expect(await sandbox.invoke({}, { limit })).toMatchObject({
      kind: 'error',
      type: 'not-invoked',
      message: expect.stringContaining('lambda:InvokeFunction'),
    });
    invokes.refusal = undefined;
    await sandbox.invoke({}, { limit });
    await deliver(invokes, sandbox, 80);
    expect(await found(database)).toEqual({ rows, ids: rows });
  });
});

describe('a continuation that finds its run held', () => {
  const held: Result = { status: 'held', message: 'held by another', next: { continue: 'r' } };
  const done: Result = { status: 'complete', run: 'r', report: null };

  async function goOn(answers: Result[], milliseconds: number) {
    const asked: unknown[] = [];
    const invoked: LoadEvent[] = [];
    const pauses: number[] = [];
    const load = selfInvoking(
      async (event) => {
        asked.push(event);
        return answers[asked.length - 1]!;
      },
      async (_context, event) => void invoked.push(event),
      async (pause) => void pauses.push(pause),
    );
    const context: LambdaContext = {
      awsRequestId: '1',
      functionName: 'f',
      getRemainingTimeInMillis: () => milliseconds,
    };
    const result = await load({ continue: 'r' }, context).catch((error: unknown) => error);
    return { result, asked, invoked, pauses };
  }

  test('waits until a dead holder would be one no more, and goes on', async () => {
    expect(await goOn([held, done], 60_000)).toEqual({
      result: done,
      asked: [{ continue: 'r' }, { continue: 'r' }],
      invoked: [],
      pauses: [15_500],
    });
  });

  test('leaves the run to a holder that lives, which goes on by itself', async () => {
    expect(await goOn([held, held], 60_000)).toMatchObject({ result: held, invoked: [] });
  });

  test('without the time to find out is tried again by Lambda', async () => {
    expect(await goOn([held], 10_000)).toMatchObject({ result: { code: 'job-held' }, invoked: [], pauses: [] });
  });
});
