import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { LoadError, type LoadOptions, load, type Report, type Sink } from '../../src/index.js';
import { type PostgresOptions, postgres } from '../../src/sinks/postgres/index.js';
import { file } from '../../src/sources/file/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';
import { reportOf, sluice } from './sluice.js';

const columns = 'id int, n numeric, at timestamptz, doc json, docb jsonb, tags text[], name text, note text';
const header = 'id,n,at,doc,docb,tags,name';
const line = (i: number) =>
  `${i},${i}.10,2024-03-31T01:30:00.${String(i % 1000).padStart(3, '0')}+02:00,"{""b"":1.0, ""a"":${i}}","{""b"":1.0, ""a"":${i}}","{x,""y,${i}""}","n ""${i}"""`;
const csv = (rows: number) => `${header}\n${Array.from({ length: rows }, (_, i) => `${line(i)}\n`).join('')}`;

let folder: string;
let db: ScratchDatabase;

/** The sink, with something done to the table between the load and its verification. */
function meddled(sink: Sink, meddle: () => Promise<unknown>): Sink {
  let calls = 0;
  return Object.create(sink, {
    compare: {
      value: async (...args: Parameters<NonNullable<Sink['compare']>>) => {
        // The first call only sees whether it can be done.
        if (++calls === 2) await meddle();
        return await sink.compare!(...args);
      },
    },
    // What the getters and methods of a class reach is the object itself.
    ...Object.fromEntries(
      (['plan', 'open', 'write', Symbol.asyncDispose] as const).map((name) => [
        name,
        { value: (...args: never[]) => (sink[name] as (...args: never[]) => unknown)(...args) },
      ]),
    ),
    key: { get: () => sink.key },
  });
}

async function verified(options: LoadOptions): Promise<Report> {
  try {
    return await load(options);
  } catch (error) {
    if (error instanceof LoadError) return error.report;
    throw error;
  }
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-verify-'));
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function source(text: string) {
  const path = join(folder, 'a.csv');
  await writeFile(path, text);
  return file({ path });
}

const modes: readonly Partial<PostgresOptions>[] = [
  { mode: 'append' },
  { mode: 'append', key: ['id'] },
  { mode: 'upsert', key: ['id'] },
  { mode: 'ignore', key: ['id'] },
];

describe.each(inject('postgresServers'))('on $name, a load that is verified', ({ url }) => {
  beforeEach(async () => {
    db = await scratchDatabase(url);
    await db.client.query(`CREATE TABLE t (${columns}, twice int GENERATED ALWAYS AS (id * 2) STORED)`);
    await db.client.query('CREATE UNIQUE INDEX ON t (id)');
  });
  const into = (options: Partial<PostgresOptions>) => postgres({ url: db.url, table: 't', ...options });

  test.each(modes)('in full finds what was changed behind its back: %o', async (mode) => {
    const meddle = async () => {
      await db.client.query(`UPDATE t SET name = 'other' WHERE id = 17`);
      await db.client.query('UPDATE t SET n = NULL WHERE id = 18');
      await db.client.query(`UPDATE t SET at = at + interval '1 microsecond', tags = '{x}' WHERE id = 19`);
      await db.client.query(`UPDATE t SET doc = '{"a":20,"b":1.0}' WHERE id = 20`);
      await db.client.query('DELETE FROM t WHERE id = 2999');
      // The same values in other words.
      await db.client.query('UPDATE t SET n = trim_scale(n) WHERE id = 30');
      await db.client.query(`UPDATE t SET at = at AT TIME ZONE 'UTC' AT TIME ZONE 'UTC' WHERE id = 31`);
      await db.client.query(`UPDATE t SET docb = '{"a":32,"b":1.0}' WHERE id = 32`);
      // Not loaded, so not compared.
      await db.client.query(`UPDATE t SET note = 'noted' WHERE id = 33`);
    };
    const report = await verified({
      source: await source(csv(3_000)),
      sink: meddled(into(mode), meddle),
      batchRows: 500,
      verify: 'full',
    });
    const keyed = mode.key !== undefined;
    expect(report).toMatchObject({
      status: 'failed',
      error: { code: 'verify-failed' },
      written: 3_000,
      verify: { level: 'full', compared: 3_000, missing: keyed ? 1 : 5, different: keyed ? 4 : 0 },
    });
    const { differences } = report.verify!;
    if (!keyed) {
      expect(differences.map(({ key }) => key.id).sort()).toEqual(['17', '18', '19', '20', '2999']);
      expect(differences.every(({ column }) => column === null)).toBe(true);
      return;
    }
    const by = (a: { key: object; column: string | null }, b: typeof a) =>
      `${JSON.stringify(a.key)}${a.column}` < `${JSON.stringify(b.key)}${b.column}` ? -1 : 1;
    expect([...differences].sort(by)).toEqual([
      { key: { id: '17' }, column: 'name', expected: 'n "17"', found: 'other' },
      { key: { id: '18' }, column: 'n', expected: '18.10', found: null },
      {
        key: { id: '19' },
        column: 'at',
        expected: expect.stringContaining(':30:00.019'),
        found: expect.stringContaining('.019001'),
      },
      { key: { id: '19' }, column: 'tags', expected: '{x,"y,19"}', found: '{x}' },
      { key: { id: '20' }, column: 'doc', expected: '{"b":1.0, "a":20}', found: '{"a":20,"b":1.0}' },
      { key: { id: '2999' }, column: null, expected: null, found: null },
    ]);
  });

  test.each([modes[0]!, modes[2]!])('as a sample finds that everything was changed: %o', async (mode) => {
    const meddle = () => db.client.query(`UPDATE t SET name = name || '!'`);
    const report = await verified({
      source: await source(csv(5_000)),
      sink: meddled(into(mode), meddle),
      verify: 'sample',
    });
    const keyed = mode.key !== undefined;
    expect(report.verify).toMatchObject({ compared: 1_000, missing: keyed ? 0 : 1_000, different: keyed ? 1_000 : 0 });
    expect(report.verify!.differences).toHaveLength(20);
    expect(report).toMatchObject({ status: 'failed', error: { code: 'verify-failed' } });
  });

  test.each(['count', 'sample', 'full'] as const)(
    'finds nothing where nothing was changed, waits for no lock, and expects no rejects: %s',
    async (verify) => {
      await db.client.query('ALTER TABLE t ALTER id SET NOT NULL');
      const rows = await source(csv(2_500).replace('\n7,', '\nseven,').replace('\n2000,', '\n,'));
      for (const mode of modes) {
        await db.client.query('TRUNCATE t');
        // Whoever would lock or change a row now would wait for ever.
        const lock = () => db.client.query('BEGIN; SELECT FROM t FOR UPDATE');
        const report = await load({ source: rows, sink: meddled(into(mode), lock), verify, batchRows: 700 });
        await db.client.query('ROLLBACK');
        expect(report).toMatchObject({ status: 'complete-with-rejects', rejected: 2, error: null });
        const compared = verify === 'sample' ? expect.closeTo(999, -1) : 2_498;
        expect(report.verify).toEqual({ level: verify, compared, missing: 0, different: 0, differences: [] });
      }
    },
  );

  test('counts the rows, or looks for the keys', async () => {
    await db.client.query(
      `CREATE FUNCTION drop_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE id = 5; RETURN NULL; END $$`,
    );
    await db.client.query('CREATE TRIGGER gone AFTER INSERT ON t EXECUTE FUNCTION drop_one()');
    const rows = await source(csv(100));
    for (const mode of modes) {
      await db.client.query('TRUNCATE t');
      const report = await verified({ source: rows, sink: into(mode), verify: 'count' });
      expect(report).toMatchObject({
        status: 'failed',
        written: 100,
        verify: { level: 'count', compared: 100, missing: 1, different: 0 },
      });
    }
  });

  test('compares what each record has, one table of fields beside another', async () => {
    const records = Array.from({ length: 900 }, (_, i) =>
      i % 3 === 0 ? { id: i, name: `n${i}` } : i % 3 === 1 ? { id: i, note: `o${i}` } : { id: i, n: i, note: null },
    );
    await db.client.query(`ALTER TABLE t ALTER note SET DEFAULT 'none'`);
    const meddle = () => db.client.query(`UPDATE t SET note = 'changed', name = coalesce(name, 'set') WHERE id < 3`);
    for (const mode of modes) {
      await db.client.query('TRUNCATE t');
      const sink = meddled(into(mode), meddle);
      const report = await verified({ source: iterable(records), sink, verify: 'full', batchRows: 200 });
      // Of record 0 only id and name were given, and these are as they were.
      const all = mode.key ? { missing: 0, different: 2 } : { missing: 2, different: 0 };
      expect(report.verify).toMatchObject({ compared: 900, ...all });
      expect(
        report.verify!.differences.map(({ key, column, expected, found }) => [key.id, column, expected, found]).sort(),
      ).toEqual(
        mode.key
          ? [
              ['1', 'note', 'o1', 'changed'],
              ['2', 'note', null, 'changed'],
            ]
          : [
              ['1', null, null, null],
              ['2', null, null, null],
            ],
      );
    }
  });

  test('takes any record of a key that was given more than once, and keeps count of rows without a key', async () => {
    const records = Array.from({ length: 1_000 }, (_, i) => ({ id: i % 100, name: `n${i}` }));
    const upserted = await load({ source: iterable(records), sink: into(modes[2]!), verify: 'full', batchRows: 70 });
    expect(upserted.verify).toMatchObject({ compared: 1_000, missing: 0, different: 0 });
    await db.client.query('CREATE TABLE plain (id int, name text)');
    const twins = Array.from({ length: 100 }, (_, i) => ({ id: i % 50, name: null }));
    const meddle = () =>
      db.client.query('DELETE FROM plain WHERE ctid IN (SELECT max(ctid::text)::tid FROM plain WHERE id = 7)');
    const sink = meddled(into({ table: 'plain' }), meddle);
    const report = await verified({ source: iterable(twins), sink, verify: 'full', batchRows: 30 });
    expect(report.verify).toMatchObject({
      missing: 1,
      different: 0,
      differences: [{ key: { id: '7', name: null }, column: null }],
    });
  });

  test('finds its way among odd names, a key of several columns, partitions, and domains', async () => {
    const names = ['k0', 'the "key"', 'there', 'same', 's', 't', 'h', 'n'];
    const quoted = names.map((name) => `"${name.replaceAll('"', '""')}"`);
    await db.client.query(`CREATE DOMAIN filled AS text NOT NULL CHECK (value <> '')`);
    await db.client.query(`CREATE TABLE "My Table" (${quoted.map((name, i) => `${name} ${i < 2 ? 'int' : 'text'}`).join(', ')},
      d filled DEFAULT 'x', PRIMARY KEY (${quoted[0]}, ${quoted[1]})) PARTITION BY RANGE ("k0")`);
    await db.client.query('CREATE TABLE low PARTITION OF "My Table" FOR VALUES FROM (0) TO (50)');
    await db.client.query('CREATE TABLE high PARTITION OF "My Table" FOR VALUES FROM (50) TO (1000)');
    const records = Array.from({ length: 200 }, (_, i) => ({
      ...Object.fromEntries(names.map((name, at) => [name, at < 2 ? Math.floor(i / (at * 100 + 2)) : `${name} ${i}`])),
      'the "key"': i,
      ...(i % 2 === 0 && { d: 'given' }),
    }));
    const meddle = () =>
      db.client.query(
        `UPDATE "My Table" SET "there" = NULL WHERE ${quoted[1]} = 7; DELETE FROM "My Table" WHERE ${quoted[1]} = 150`,
      );
    for (const mode of ['append', 'upsert', 'ignore'] as const) {
      await db.client.query('TRUNCATE "My Table"');
      const sink = meddled(into({ table: '"My Table"', mode, key: names.slice(0, 2) }), meddle);
      const report = await verified({ source: iterable(records), sink, verify: 'full', batchRows: 60 });
      expect(report.verify).toMatchObject({ compared: 200, missing: 1, different: 1 });
      expect([...report.verify!.differences].sort((a, b) => (a.column ?? '').localeCompare(b.column ?? ''))).toEqual([
        { key: { k0: '75', 'the "key"': '150' }, column: null, expected: null, found: null },
        { key: { k0: '3', 'the "key"': '7' }, column: 'there', expected: 'there 7', found: null },
      ]);
    }
  });

  test('in mode ignore looks for the keys alone where rows were kept as they were', async () => {
    await db.client.query(`INSERT INTO t (id, name) VALUES (1, 'kept')`);
    const records = [
      { id: 1, name: 'a' },
      { id: 2, name: 'b' },
    ];
    const report = await load({ source: iterable(records), sink: into(modes[3]!), verify: 'full' });
    expect(report).toMatchObject({
      status: 'complete',
      unchanged: 1,
      verify: { compared: 2, missing: 0, different: 0 },
    });
  });
});

describe('a verification', () => {
  beforeEach(async () => {
    db = await scratchDatabase();
    await db.client.query('CREATE TABLE t (id int PRIMARY KEY, name text)');
  });
  const into = (options: Partial<PostgresOptions> = {}) => postgres({ url: db.url, table: 't', ...options });

  test('of a trigger that changes values is honest about it', async () => {
    await db.client.query(
      `CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$`,
    );
    await db.client.query('CREATE TRIGGER shout BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION shout()');
    const report = await verified({
      source: iterable([{ id: 1, name: 'a' }]),
      sink: into({ key: ['id'] }),
      verify: 'sample',
    });
    expect(report.verify!.differences).toEqual([{ key: { id: '1' }, column: 'name', expected: 'a', found: 'A' }]);
  });

  test('by the command exits with 3 where something differs, and refuses a level it does not know', async () => {
    await db.client.query('ALTER TABLE t ALTER name TYPE char(3)');
    await db.client.query(
      `CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$`,
    );
    await writeFile(join(folder, 'a.csv'), 'id,name\n1,a\n2,B\n');
    const load = (...flags: string[]) =>
      sluice(['load', 'a.csv', db.url, '--table', 't', '--key', 'id', '--json', ...flags], { cwd: folder });
    const well = await load('--verify', 'full');
    expect(reportOf(well)).toMatchObject({ status: 'complete', verify: { level: 'full', compared: 2, missing: 0 } });
    expect(well.code).toBe(0);
    await db.client.query('TRUNCATE t');
    await db.client.query('CREATE TRIGGER shout BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION shout()');
    const loud = await load('--verify', 'sample');
    expect(loud.code).toBe(3);
    expect(loud.stderr).toContain('id=1 has name A instead of a');
    expect(reportOf(loud)).toMatchObject({ status: 'failed', written: 2, error: { code: 'verify-failed' } });
    const unknown = await load('--verify', 'all');
    expect(unknown.stderr).toContain('--verify: expected none, count, sample, full');
    expect(unknown.code).toBe(3);
  });

  test('of what can be read once only is refused before anything is written, but for a sample', async () => {
    async function* once() {
      yield { id: 1, name: 'a' };
    }
    await expect(load({ source: iterable(once()), sink: into(), verify: 'full' })).rejects.toMatchObject({
      code: 'read-once',
    });
    const report = await load({ source: iterable(once()), sink: into(), verify: 'sample' });
    expect(report.verify).toMatchObject({ compared: 1, missing: 0 });
  });

  test('of a complete run that is gone on with reads the source again', async () => {
    const records = Array.from({ length: 3_000 }, (_, id) => ({ id, name: 'n' }));
    const path = join(folder, 'a.ndjson');
    await writeFile(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    await load({ source: file({ path }), sink: into() });
    await db.client.query('DELETE FROM t WHERE id % 3 = 0');
    const options = { sink: into(), resume: true } as const;
    const sampled = await verified({ ...options, source: file({ path }), verify: 'sample' });
    expect(sampled).toMatchObject({ status: 'failed', skipped: 3_000, verify: { compared: 1_000, different: 0 } });
    expect(sampled.verify!.missing).toBeGreaterThan(250);
    const full = await verified({ ...options, sink: into(), source: file({ path }), verify: 'full' });
    expect(full.verify).toMatchObject({ compared: 3_000, missing: 1_000, different: 0 });
  });

  test('of a source that has changed meanwhile says so', async () => {
    const path = join(folder, 'a.csv');
    await writeFile(path, 'id,name\n1,a\n');
    const grow = () => writeFile(path, 'id,name\n1,a\n2,b\n');
    const report = await verified({ source: file({ path }), sink: meddled(into(), grow), verify: 'full' });
    expect(report).toMatchObject({ status: 'failed', written: 1, error: { code: 'verify-failed' } });
    expect(report.error!.message).toContain('gave 2 records when it was read again, and 1 before');
  });

  test('that may not read the table says so before anything is written', async () => {
    const role = `reader_${db.url.split('_').at(-1)}`;
    await db.client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    try {
      await db.client.query(
        `GRANT INSERT ON t TO ${role}; GRANT CREATE ON DATABASE ${new URL(db.url).pathname.slice(1)} TO ${role}`,
      );
      const url = new URL(db.url);
      url.username = role;
      url.password = 'secret';
      const options = {
        source: iterable([{ id: 1, name: 'a' }]),
        sink: into({ url: url.href }),
        verify: 'sample',
      } as const;
      await expect(load(options)).rejects.toMatchObject({
        code: 'no-privilege',
        message: expect.stringContaining('SELECT'),
      });
      expect((await db.client.query('SELECT FROM t')).rowCount).toBe(0);
    } finally {
      await db.client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});
