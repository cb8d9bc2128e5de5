import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startCitiesApi } from '../../src/hosts/cli/demo/cities-api.js';
import { readJob } from '../../src/job/file.js';
import { scratchDatabase } from '../servers/database.js';
import { reportOf, scratchFolder, sluice } from './sluice.js';

const examples = (await readdir('examples')).filter((name) => name.endsWith('.yaml'));

test.each(examples)('%s is a valid job', async (name) => {
  const text = await readFile(join('examples', name), 'utf8');
  const job = await readJob(text, name, { DATABASE_URL: 'postgres://127.0.0.1/db' });
  expect(job.sink.options).toMatchObject({ url: 'postgres://127.0.0.1/db' });
});

describe('as a user runs it', () => {
  test('cities-from-api.yaml loads the listing, and the second time finds nothing to write', async () => {
    await using api = await startCitiesApi(1050);
    await using database = await scratchDatabase();
    await using folder = await scratchFolder();
    const env = { CITIES_URL: api.url, DATABASE_URL: database.url };
    const run = (...flags: string[]) =>
      sluice(['run', resolve('examples/cities-from-api.yaml'), '--json', ...flags], { env, cwd: folder.path });
    const dry = await run('--dry-run');
    expect(reportOf(dry)).toMatchObject({
      status: 'dry-run',
      columns: expect.arrayContaining([{ column: 'lon', from: 'loc.coordinates[0]' }]),
    });
    const first = await run('--workers', '2');
    expect(reportOf(first)).toMatchObject({ status: 'complete', read: 1050, written: 1050, workers: 2, problems: [] });
    const second = await run();
    expect(reportOf(second)).toMatchObject({ status: 'complete', read: 1050, written: 0, unchanged: 1050 });
    expect([dry.code, first.code, second.code]).toEqual([0, 0, 0]);
    const limited = await run('--limit', '10', '--batch-size', '5');
    expect(reportOf(limited)).toMatchObject({ read: 10, unchanged: 10 });
    const { rows } = await database.client.query('SELECT lon, lat FROM cities WHERE id = 3039154');
    expect(rows.map((row: { lon: unknown; lat: unknown }) => [Number(row.lon), Number(row.lat)])).toEqual([
      [1.65362, 42.57952],
    ]);
  });

  test('orders-from-csv.yaml keeps known orders and lets one bad record go', async () => {
    await using database = await scratchDatabase();
    await using folder = await scratchFolder();
    await database.client.query(
      'CREATE TABLE orders (id int PRIMARY KEY, customer text, placed timestamptz, amount numeric, origin text)',
    );
    await database.client.query("INSERT INTO orders VALUES (1, 'kept', NULL, 1, NULL)");
    await writeFile(
      join(folder.path, 'a.csv'),
      'order_id;customer;placed_at;amount\n1;Ada;2026-01-31T12:00:00Z;5.10\n2;NULL;2026-01-31T12:00:00Z;NULL\n3;Bo;soon;1\n',
    );
    const env = { ORDERS: '*.csv', DATABASE_URL: database.url };
    const example = resolve('examples/orders-from-csv.yaml');
    const ended = await sluice(['run', example, '--json'], { env, cwd: folder.path });
    expect(reportOf(ended)).toMatchObject({
      status: 'complete-with-rejects',
      read: 3,
      written: 1,
      unchanged: 1,
      rejected: 1,
    });
    expect(ended.code).toBe(1);
    const { rows } = await database.client.query('SELECT id, customer, amount, origin FROM orders ORDER BY id');
    expect(rows).toEqual([
      { id: 1, customer: 'kept', amount: '1', origin: null },
      { id: 2, customer: null, amount: '0.00', origin: 'csv' },
    ]);
  });

  test('events-from-stdin.yaml keeps whole records as json', async () => {
    await using database = await scratchDatabase();
    await using folder = await scratchFolder();
    await database.client.query('CREATE TABLE events (at bigint, unit text, message text, everything jsonb)');
    const input = '{"__REALTIME_TIMESTAMP":"1769860800000000","MESSAGE":[1,2],"extra":{"a":1.10}}\n';
    const env = { DATABASE_URL: database.url };
    const example = resolve('examples/events-from-stdin.yaml');
    const ended = await sluice(['run', example], { env, cwd: folder.path, input });
    expect(ended.stderr).toContain('Complete: 1 record');
    const { rows } = await database.client.query("SELECT at, unit, message, everything->'extra' AS extra FROM events");
    expect(rows).toEqual([{ at: '1769860800000000', unit: '', message: '[1,2]', extra: { a: 1.1 } }]);
  });
});

describe('sluice demo', () => {
  test('loads 10,000 cities, finds them all, and writes nothing the second time', async () => {
    await using folder = await scratchFolder();
    await using database = await scratchDatabase();
    const ended = await sluice(['demo'], { env: { DATABASE_URL: database.url }, cwd: folder.path });
    expect(ended.stdout).toContain('10,000 read = 10,000 written + 0 unchanged');
    expect(ended.stdout).toContain('The same: nothing lost, nothing twice.');
    expect(ended.stdout).toContain('10,000 read = 0 written + 10,000 unchanged');
    expect(ended.code).toBe(0);
    const schemas = await database.client.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'sluice_demo%'");
    expect(schemas.rows).toEqual([]);
  });

  test('starts a server of its own where none is named', async () => {
    await using folder = await scratchFolder();
    const names = ['DATABASE_URL', 'PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER'];
    const env = Object.fromEntries(names.map((name) => [name, undefined]));
    const ended = await sluice(['demo'], { env, cwd: folder.path });
    expect(ended.stdout).toContain('started for this demo');
    expect(ended.stdout).toContain('the server stopped');
    expect(ended.code).toBe(0);
  });

  test('says so when the server that is named can not be reached', async () => {
    const ended = await sluice(['demo'], { env: { DATABASE_URL: 'postgres://nobody:hunter2@127.0.0.1:1/db' } });
    expect(ended.stderr).toContain('127.0.0.1');
    expect(ended.stdout + ended.stderr).not.toContain('hunter2');
    expect(ended.code).toBe(3);
  });
});
