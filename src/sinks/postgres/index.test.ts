import { describe, expect, inject, test } from 'vitest';
import { scratchDatabase } from '../../../test/servers/database.js';
import type { Batch, Cell, Context, Intake, Sink } from '../../contract/index.js';
import { type PostgresOptions, postgres } from './index.js';

const silent = { debug() {}, info() {}, warn() {} };

function contextOf(run: string, signal = new AbortController().signal): Context {
  return { run, job: 'job', epoch: 1, signal, log: silent };
}

/** As the flow does: each run here is of a job of its own. */
async function openAndBegin(sink: Sink, context: Context): Promise<void> {
  await sink.open(context);
  const fixed = {
    resume: 'no',
    source: 's',
    sink: sink.identity,
    holder: context.run,
    columns: [],
    fingerprints: {},
  } as const;
  await sink.ledger!.begin({ ...fixed, run: context.run, job: context.run, mayBeAlive: () => true }, context.signal);
}

const intake: Intake = {
  columns: ['id', 'name'],
  sample: [
    ['1', 'one'],
    ['2', null],
  ],
  textual: true,
  ignoreExtra: false,
};

/** A batch of rows that are there already, from the start of split `s`. */
function batchOf(columns: readonly string[], rows: readonly (readonly Cell[])[]): Batch {
  const batch: Batch = {
    rows: rows.length,
    bytes: rows.length * 10,
    spans: [{ split: 's', from: 0, rows: rows.length, next: { row: rows.length, token: null } }],
    columns,
    textual: true,
    refused: new Map(),
    duplicates: new Set(),
    cells(row, into) {
      into.splice(0, into.length, ...rows[row]!);
      return undefined;
    },
    origin: (row) => ({ split: 's', row, record: rows[row] }),
    part: () => batch,
    refuse: () => batch,
  };
  return batch;
}

test('the identity tells server, table, mode and key, and no secrets; the table may be named as in SQL', () => {
  const sink = postgres({
    url: 'postgres://ann:hunter2@db.example/shop',
    table: 'geo.Cities',
    mode: 'upsert',
    key: ['id', 'lang'],
  });
  expect(sink.identity).toBe('postgres://db.example:5432/shop "geo"."cities" upsert id,lang');
  expect(sink.key).toEqual(['id', 'lang']);
  expect(sink.traits.guarantee).toBe('exactly once');
  expect(JSON.stringify(sink)).not.toContain('hunter2');
});

test.each<[Record<string, unknown>, string]>([
  [{ table: 't', mode: 'replace' }, 'mode'],
  [{ table: 't', modes: 'append' }, 'modes'],
  [{ table: '' }, 'table'],
  [{}, 'table'],
  [{ table: 'a.b.c' }, 'a.b.c'],
])('options %j are refused by name', (options, name) => {
  const wrong = { url: 'postgres://ann:hunter2@h/db', ...options } as PostgresOptions;
  expect(() => postgres(wrong)).toThrow(
    expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining(name) }),
  );
  expect(() => postgres(wrong)).not.toThrow('hunter2');
});

describe.each(inject('postgresServers'))('on $name', ({ url }) => {
  test('a load that creates its table, from plan to finish', async () => {
    await using db = await scratchDatabase(url);
    await using sink = postgres({ url: db.url, table: 'T', key: ['id'], create: true });
    const context = contextOf('r1');
    const plan = await sink.plan(intake, context);
    expect(plan.columns).toEqual(['id', 'name']);
    expect(plan.free).toBeGreaterThan(1);
    expect(plan.statements.join()).toMatch(/CREATE TABLE.*"public"\."t".*"id" bigint,\s*"name" text,\s*PRIMARY KEY/s);
    expect((await db.client.query(`SELECT to_regclass('t') AS t, to_regnamespace('sluice') AS s`)).rows).toEqual([
      { t: null, s: null },
    ]);
    await expect(sink.write(batchOf(['id', 'name'], []), context)).rejects.toMatchObject({ code: 'not-open' });
    await openAndBegin(sink, context);
    const result = await sink.write(
      batchOf(plan.columns, [
        ['1', 'one'],
        ['x', 'NULL'],
        ['3', null],
      ]),
      context,
    );
    expect(result).toMatchObject({ written: 2, rejects: [{ row: 1, code: '22P02', column: 'id' }] });
    await sink.ledger!.finish('complete-with-rejects', context);
    expect((await db.client.query('SELECT * FROM t ORDER BY id')).rows).toEqual([
      { id: '1', name: 'one' },
      { id: '3', name: null },
    ]);
    expect((await db.client.query('SELECT status FROM sluice.run')).rows).toEqual([
      { status: 'complete-with-rejects' },
    ]);
    const rejects = await db.client.query(`SELECT code, "column", record->1 AS name FROM sluice.reject`);
    expect(rejects.rows).toEqual([{ code: '22P02', column: 'id', name: 'NULL' }]);
  });

  test('a plan says what would be executed, and takes the primary key where the mode needs one', async () => {
    await using db = await scratchDatabase(url);
    await db.client.query('CREATE TABLE t (id bigint PRIMARY KEY, name text)');
    await using appending = postgres({ url: db.url, table: 't' });
    const plan = await appending.plan(intake, contextOf('r1'));
    expect(plan.statements).toHaveLength(1);
    expect(plan.statements[0]).toMatch(/^COPY "public"\."t" \("id", "name"\) FROM STDIN/);
    expect(appending.key).toBeUndefined();
    await using upserting = postgres({ url: db.url, table: 't', mode: 'upsert' });
    const merged = await upserting.plan(intake, contextOf('r2'));
    expect(upserting.key).toEqual(['id']);
    const { rows } = await db.client.query("SELECT current_setting('server_version_num')::int >= 150000 AS merges");
    expect(merged.statements.join('\n')).toMatch(
      rows[0].merges ? /COPY.*MERGE INTO "public"."t" t .* THEN UPDATE SET/s : /COPY.*ON CONFLICT \("id"\) DO UPDATE/s,
    );
    expect(merged.notes.join('\n')).toContain('primary key');
  });

  test('loads that start together make the table and the ledger once', async () => {
    await using db = await scratchDatabase(url);
    const sinks: Sink[] = [1, 2, 3, 4].map(() =>
      postgres({ url: db.url, table: 't', mode: 'upsert', key: ['id'], create: true }),
    );
    await Promise.all(sinks.map((sink, index) => sink.plan(intake, contextOf(`r${index}`))));
    await Promise.all(sinks.map((sink, index) => openAndBegin(sink, contextOf(`r${index}`))));
    for (const sink of sinks) await sink[Symbol.asyncDispose]();
    const { rows } = await db.client.query('SELECT count(*)::int AS runs FROM sluice.run');
    expect(rows).toEqual([{ runs: 4 }]);
  });

  test('the run is ended in the ledger even when it was aborted', async () => {
    await using db = await scratchDatabase(url);
    await using sink = postgres({ url: db.url, table: 't', create: true });
    const controller = new AbortController();
    const context = contextOf('r1', controller.signal);
    await sink.plan(intake, context);
    await openAndBegin(sink, context);
    controller.abort(new Error('enough'));
    await expect(sink.plan(intake, context)).rejects.toThrow('enough');
    await sink.ledger!.finish('interrupted', context);
    expect((await db.client.query('SELECT status FROM sluice.run')).rows).toEqual([{ status: 'interrupted' }]);
  });

  test('what stands in the way is told with its remedy, before anything was made', async () => {
    await using db = await scratchDatabase(url);
    const told = async (options: PostgresOptions) => {
      await using sink = postgres({ url: db.url, ...options });
      return await sink.plan(intake, contextOf('r1')).then(
        () => 'planned',
        (error: Error) => `${error.name}: ${error.message}`,
      );
    };
    expect(await told({ table: 'gone' })).toMatch(/^SinkError: .*"gone".*--create/);
    expect(await told({ table: 'gone.t', create: true })).toContain('CREATE SCHEMA "gone"');
    expect(await told({ table: 't', create: true, mode: 'upsert' })).toMatch(/--key/);
    expect(await told({ table: 't', create: true, key: ['nr'] })).toMatch(/"nr".*"id", "name"/);
    const elsewhere = Object.assign(new URL(db.url), { pathname: '/nowhere' });
    expect(await told({ url: elsewhere.href, table: 't' })).toMatch(/^SinkError: .*"nowhere"/);
    expect((await db.client.query(`SELECT to_regnamespace('sluice') AS s`)).rows).toEqual([{ s: null }]);
  });
});
