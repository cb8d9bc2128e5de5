import { describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { otherProcesses, scratchDatabase } from '../servers/database.js';
import { people, startTroubledApi, type TroubledApi } from '../servers/troubled-api.js';
import { lineTo } from '../sinks/postgres/line.js';
import { startSandbox } from './lambda.js';
import { startRowsApi } from './rows-api.js';

const table = 'CREATE TABLE people (id int PRIMARY KEY, name text)';

async function peopleApi(count: number): Promise<TroubledApi> {
  return await startTroubledApi(({ query }) => ({ body: people(count).slice(0, Number(query.get('most') ?? count)) }));
}

function job(api: TroubledApi, database: { readonly url: string }): string {
  return `
source: { http: { url: "${api.url}?most=\${MOST:-1000000}", headers: { x-api-key: "\${API_KEY:-none}" } } }
sink: { postgres: { url: "${database.url}", table: people, mode: upsert } }
`;
}

/** The lines of a log that carry CloudWatch's metrics. */
function reports(log: readonly string[]): Record<string, unknown>[] {
  return log.filter((line) => line.includes('"_aws"')).map((line) => JSON.parse(line));
}

/** CloudWatch's embedded metric format, as far as it is used. */
const embedded = z.strictObject({
  Timestamp: z.int(),
  CloudWatchMetrics: z.tuple([
    z.strictObject({
      Namespace: z.literal('Sluice'),
      Dimensions: z.tuple([z.tuple([z.literal('load')])]),
      Metrics: z.array(z.strictObject({ Name: z.string(), Unit: z.enum(['Count', 'Bytes', 'Seconds']) })).min(5),
    }),
  ]),
});

describe('a refresh', () => {
  test('writes, and the next time finds nothing to write', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(500);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: job(api, database) });
    const event = { id: '1', 'detail-type': 'Scheduled Event', source: 'aws.events', detail: {} };
    expect(await sandbox.invoke(event)).toMatchObject({
      value: { status: 'complete', report: { read: 500, written: 500, unchanged: 0 } },
    });
    expect(await sandbox.invoke({})).toMatchObject({
      value: { status: 'complete', report: { read: 500, written: 0, unchanged: 500 } },
    });
    expect(sandbox.starts).toBe(1);
  });

  test('puts its report into the log as one line, with its figures as metrics', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(7);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: job(api, database) });
    await sandbox.invoke(null);
    const [line, ...more] = reports(sandbox.log);
    expect(more).toEqual([]);
    expect(line).toMatchObject({ load: 'test', status: 'complete', read: 7, written: 7, failed: 0, continued: 0 });
    const { Timestamp, CloudWatchMetrics } = embedded.parse(line?._aws);
    expect(Math.abs(Date.now() - Timestamp)).toBeLessThan(60_000);
    // What CloudWatch is promised has to be there, as numbers.
    for (const { Name } of CloudWatchMetrics[0].Metrics) expect(line?.[Name], Name).toBeTypeOf('number');
  });

  test('overlapping another says so, and writes nothing', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(3);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: job(api, database) });
    await sandbox.invoke({});
    // As begun, and not let go of, by an invocation in another sandbox.
    await database.client.query(
      `UPDATE sluice.run SET status = 'running', holder = 'elsewhere 1 - x', heartbeat = now(); TRUNCATE people`,
    );
    const held = { status: 'held', message: expect.stringContaining('elsewhere'), next: {} };
    expect(await sandbox.invoke({})).toMatchObject({ kind: 'answer', value: held });
    expect((await database.client.query('TABLE people')).rows).toEqual([]);
  });

  test('that was killed is gone on with by the next, whoever invokes it', async () => {
    await using database = await scratchDatabase();
    await database.client.query(table);
    await using api = await startRowsApi(20_000, 150);
    const pagination = { style: 'page', size: { param: 'size', value: 1_000 }, total: { header: 'x-total-count' } };
    const source = { url: api.url, pagination, parallel: 1 };
    const JOB = JSON.stringify({
      source: { http: source },
      sink: { postgres: { url: database.url, table: 'people', mode: 'upsert' } },
      columns: { id: 'id', name: 'name' },
    });
    await using sandbox = await startSandbox({ JOB });
    const written = async () => {
      const { rows } = await database.client.query('SELECT count(*)::int AS n FROM people');
      return rows[0].n;
    };
    const some = vi.waitUntil(async () => (await written()) > 0, { timeout: 20_000, interval: 25 });
    expect(await sandbox.invoke({}, { killAfter: some })).toEqual({ kind: 'killed', atLimit: false });
    const before = await written();
    expect(before).toBeLessThan(20_000);
    const second = await sandbox.invoke({});
    expect(second).toMatchObject({
      value: { status: 'complete', report: { written: 20_000 - before, skipped: before } },
    });
  });
});

describe('a table that somebody locks', () => {
  test('costs invocations, none of which is killed, and no row', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(300);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: job(api, database) });
    await database.client.query('BEGIN; LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE');
    const first = await sandbox.invoke({}, { limit: 2_500 });
    expect(first).toMatchObject({
      kind: 'answer',
      value: { status: 'continue', next: { continue: expect.any(String), idle: 1 } },
    });
    const next = first.kind === 'answer' ? Object(first.value).next : undefined;
    const second = await sandbox.invoke(next, { limit: 2_500 });
    expect(second).toMatchObject({ kind: 'answer', value: { status: 'continue', next: { idle: 2 } } });
    const last = await sandbox.invoke({ ...next, idle: 4 }, { limit: 2_500 });
    expect(last).toMatchObject({ kind: 'error', type: 'no-progress' });
    await database.client.query('ROLLBACK');
    expect(await sandbox.invoke({})).toMatchObject({ value: { status: 'complete', report: { written: 300 } } });
    expect(sandbox.starts).toBe(1);
  });
});

describe('a function that is frozen in the middle of a load', () => {
  test('finds its connections cut when it is thawed, and goes on where it stood', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(300);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: job(api, database) });
    await database.client.query('BEGIN; LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE');
    expect(await sandbox.invoke({}, { limit: 2_500 })).toMatchObject({ value: { status: 'continue' } });
    await database.client.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await database.client.query('ROLLBACK');
    expect(await sandbox.invoke({})).toMatchObject({ value: { status: 'complete', report: { written: 300 } } });
    expect(await sandbox.invoke({})).toMatchObject({ value: { report: { written: 0, unchanged: 300 } } });
    expect(sandbox.starts).toBe(1);
  });
});

describe('between invocations', () => {
  const unchanged = { value: { status: 'complete', report: { written: 0, unchanged: 50 } } };

  test('connections stay, and the next one takes them up', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(50);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: job(api, database) });
    await sandbox.invoke({});
    const first = await otherProcesses(database.client);
    expect(first).not.toEqual([]);
    for (let i = 0; i < 3; i++) expect(await sandbox.invoke({})).toMatchObject(unchanged);
    // Those that were not needed, too.
    expect(await otherProcesses(database.client)).toEqual(expect.arrayContaining(first));
    expect(sandbox.starts).toBe(1);
  });

  test('the server closes them though the function is frozen, so that a cluster can pause', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(50);
    await database.client.query(table);
    // A session's own timeout stands where it is shorter than the minute.
    const url = `${database.url}?options=-c%20idle_session_timeout%3D1500`;
    await using sandbox = await startSandbox({ JOB: job(api, { url }) });
    await sandbox.invoke({});
    const first = await otherProcesses(database.client);
    expect(first).not.toEqual([]);
    await vi.waitFor(async () => expect(await otherProcesses(database.client)).toEqual([]), { timeout: 10_000 });
    expect(await sandbox.invoke({})).toMatchObject(unchanged);
    expect(reports(sandbox.log)).toMatchObject([{ retries: 0 }, { retries: 0 }]);
    expect(sandbox.starts).toBe(1);
  });

  test('connections that the server ends, or whose line is dead without a sign, cost the next one no retry', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(50);
    await database.client.query(table);
    await using line = await lineTo(database.url);
    await using sandbox = await startSandbox({ JOB: job(api, line) });
    await sandbox.invoke({});
    const first = await otherProcesses(database.client);
    await database.client.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [first]);
    expect(await sandbox.invoke({})).toMatchObject(unchanged);
    const second = await otherProcesses(database.client);
    expect(second).not.toEqual([]);
    expect(second.filter((pid) => first.includes(pid))).toEqual([]);
    line.freezeOpen();
    expect(await sandbox.invoke({})).toMatchObject(unchanged);
    expect((await otherProcesses(database.client)).some((pid) => !second.includes(pid))).toBe(true);
    expect(reports(sandbox.log).map(({ retries }) => retries)).toEqual([0, 0, 0]);
    expect(sandbox.starts).toBe(1);
  });
});

describe('an event', () => {
  test('names the job, and gives its variables', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(50);
    await database.client.query(table);
    const JOBS = JSON.stringify({ people: job(api, database), others: job(api, database) });
    await using sandbox = await startSandbox({ JOBS });
    expect(await sandbox.invoke({})).toMatchObject({
      type: 'bad-event',
      message: expect.stringContaining('people, others'),
    });
    expect(await sandbox.invoke({ job: 'peple' })).toMatchObject({ type: 'bad-event' });
    expect(await sandbox.invoke({ job: 'people', parameters: { MOST: 20 } })).toMatchObject({
      value: { status: 'complete', report: { read: 20 } },
    });
    expect(reports(sandbox.log)).toMatchObject([{ load: 'people' }]);
  });

  test('can not change what the environment sets, nor give what the job does not ask for', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(1);
    await using sandbox = await startSandbox({ JOB: job(api, database), API_KEY: 'a-key-of-mine' });
    expect(await sandbox.invoke({ parameters: { API_KEY: 'x' } })).toMatchObject({
      type: 'bad-event',
      message: expect.stringContaining('API_KEY'),
    });
    expect(await sandbox.invoke({ parameters: { PATH: 'x' } })).toMatchObject({ type: 'bad-event' });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.
    await sandbox.invoke({ parameters: { MOST: '${API_KEY}' } });
    expect(api.requests.every(({ query }) => query.get('most') !== 'a-key-of-mine')).toBe(true);
  });

  test.each([
    ['a word that is not known', { jop: 'x' }],
    ['both a name and a continuation', { run: 'a', continue: 'b' }],
    ['a text', 'hello'],
  ])('with %s is refused', async (_what, event) => {
    await using sandbox = await startSandbox({ JOB: '{}' });
    expect(await sandbox.invoke(event)).toMatchObject({ kind: 'error', type: 'bad-event' });
  });

  test('that is to go on with a run that is not there starts none', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(1);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: job(api, database) });
    await sandbox.invoke({});
    expect(await sandbox.invoke({ continue: 'gone' })).toMatchObject({ kind: 'error', type: 'no-such-run' });
  });
});

describe('messages of a queue', () => {
  const message = (messageId: string, body: string, group?: string) => ({
    messageId,
    eventSource: 'aws:sqs',
    body,
    attributes: group === undefined ? {} : { MessageGroupId: group },
  });

  test('are loaded one by one; those that could not be are told, and one that comes again loads nothing twice', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(10);
    await database.client.query('CREATE TABLE people (id int, name text)');
    const JOB = job(api, database).replace('upsert', 'append');
    await using sandbox = await startSandbox({ JOB });
    const Records = [message('a', '{}'), message('b', 'no JSON'), message('c', '{"parameters":{"MOST":3}}')];
    const answer = { kind: 'answer', value: { batchItemFailures: [{ itemIdentifier: 'b' }] } };
    expect(await sandbox.invoke({ Records })).toMatchObject(answer);
    expect(await sandbox.invoke({ Records })).toMatchObject(answer);
    const { rows } = await database.client.query('SELECT count(*)::int AS n FROM people');
    expect(rows).toEqual([{ n: 13 }]);
    expect(sandbox.log.filter((line) => line.includes('stays in the queue'))).toHaveLength(2);
  });

  test('whose order counts stay from the first that could not be loaded', async () => {
    await using database = await scratchDatabase();
    await using api = await peopleApi(10);
    await database.client.query(table);
    await using sandbox = await startSandbox({ JOB: job(api, database) });
    const Records = [message('a', '{}', 'g'), message('b', '{"run":1}', 'g'), message('c', '{}', 'g')];
    expect(await sandbox.invoke({ Records })).toMatchObject({
      value: { batchItemFailures: [{ itemIdentifier: 'b' }, { itemIdentifier: 'c' }] },
    });
  });
});

test('no secret reaches the log or the answer', async () => {
  await using database = await scratchDatabase();
  await using api = await startTroubledApi(({ headers }) => ({ status: 403, body: `not for ${headers['x-api-key']}` }));
  await database.client.query(table);
  const env = { JOB: job(api, database), API_KEY: 'sesame-open-now', SLUICE_LOG: 'debug' };
  await using sandbox = await startSandbox(env);
  const refused = await sandbox.invoke({});
  expect(refused).toMatchObject({ kind: 'error' });
  expect(JSON.stringify([refused, sandbox.log])).not.toContain('sesame-open-now');
  expect(reports(sandbox.log)).toMatchObject([{ status: 'failed', failed: 1 }]);
});
