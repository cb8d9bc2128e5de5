import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { from as copyFrom } from 'pg-copy-streams';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Columns, LoadError, load } from '../../src/index.js';
import { postgres } from '../../src/sinks/postgres/index.js';
import { file } from '../../src/sources/file/index.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';

/** What became of a file: its rows in order, and the records that were refused. */
interface Outcome {
  readonly rows: readonly unknown[];
  /** `row code`, or the code of what ended the load before its first row. */
  readonly rejects: readonly string[];
}

describe.each(inject('postgresServers'))('a whole load of a CSV file on $name', ({ url }) => {
  let db: ScratchDatabase;
  let folder: string;
  beforeAll(async () => {
    db = await scratchDatabase(url);
    folder = await mkdtemp(join(tmpdir(), 'sluice-differential-'));
  });
  afterAll(async () => {
    await db?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  async function emptyTable(fields: readonly string[]): Promise<void> {
    const columns = fields.map((name) => `, "${name}" text`);
    await db.client.query(`DROP TABLE IF EXISTS t; CREATE TABLE t (n bigserial${columns.join('')})`);
  }

  async function rows(): Promise<unknown[]> {
    const { rows } = await db.client.query({ text: 'SELECT * FROM t ORDER BY n', rowMode: 'array' });
    return rows.map(([, ...fields]: unknown[]) => fields);
  }

  async function loaded(path: string, fields: readonly string[], columns?: Columns): Promise<Outcome> {
    await emptyTable(fields);
    const runDir = await mkdtemp(join(folder, 'run-'));
    const sink = postgres({ url: db.url, table: 't', ledger: false });
    const mapping = columns === undefined ? {} : { columns };
    const report = await load({
      source: file({ path }),
      sink,
      workers: 1,
      maxErrors: '100%',
      runDir,
      ...mapping,
    }).catch((error: unknown) => {
      if (error instanceof LoadError) return error.report;
      throw error;
    });
    if (report.rejectsFile === null) return { rows: await rows(), rejects: report.error ? [report.error.code] : [] };
    const lines = readFileSync(report.rejectsFile, 'utf8').trimEnd().split('\n');
    const rejects = lines.map((line): { row: number; code: string } => JSON.parse(line));
    rejects.sort((a, b) => a.row - b.row);
    return { rows: await rows(), rejects: rejects.map(({ row, code }) => `${row} ${code}`) };
  }

  /** PostgreSQL's own reading; undefined when it refuses the file. */
  async function copied(bytes: Buffer, fields: readonly string[]): Promise<unknown[] | undefined> {
    await emptyTable(fields);
    const names = fields.map((name) => `"${name}"`).join(', ');
    const stream = db.client.query(copyFrom(`COPY t (${names}) FROM STDIN WITH (FORMAT csv, HEADER)`));
    stream.end(bytes);
    return await once(stream, 'finish').then(rows, () => undefined);
  }

  /** Handed on as bytes, parsed, and read by COPY alone: one outcome. */
  async function agree(bytes: Buffer, fields: readonly string[]): Promise<void> {
    const path = join(folder, 'a.csv');
    await writeFile(path, bytes);
    const asBytes = await loaded(path, fields);
    const cast = Object.fromEntries(fields.map((name) => [name, { from: `["${name}"]`, cast: 'text' as const }]));
    expect(await loaded(path, fields, cast)).toEqual(asBytes);
    const byCopy = await copied(bytes, fields);
    if (byCopy === undefined) expect(asBytes.rejects).not.toEqual([]);
    else expect(asBytes).toEqual({ rows: byCopy, rejects: [] });
  }

  const spectrum = new URL('../../node_modules/csv-spectrum/csvs/', import.meta.url);
  test.each(readdirSync(spectrum))('%s of csv-spectrum ends in the same rows as by COPY', async (name) => {
    const bytes = readFileSync(new URL(name, spectrum));
    const header = /^.*/.exec(bytes.toString())![0].trim();
    await agree(
      bytes,
      header.split(',').map((field) => field.replaceAll('"', '')),
    );
  });

  test('files made at random end in the same rows as by COPY, or in the same rejects', {
    timeout: 120_000,
  }, async () => {
    const text = fc.string({
      unit: fc.constantFrom('a', ' ', '"', "'", ',', ';', '\t', '\\', 'N', '\n', '\r\n', 'é', '😀'),
      maxLength: 8,
    });
    const field = fc.oneof(
      text.map((value) => `"${value.replaceAll('"', '""')}"`),
      fc.constantFrom('', '""', '0', '007', ' x ', '\\N', 'NULL'),
    );
    const line = fc.oneof(
      { weight: 15, arbitrary: fc.tuple(field, field).map((fields) => fields.join(',')) },
      { weight: 1, arbitrary: fc.constantFrom('', 'x', '1,2,3', '"', 'a"b,c"d', '\0,1', 'a"",b') },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { minLength: 1, maxLength: 12 }),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.boolean(),
        async (lines, eol, ended, marked) => {
          const all = ['f0,f1', ...lines].join(eol) + (ended ? eol : '');
          await agree(Buffer.from((marked ? '\ufeff' : '') + all), ['f0', 'f1']);
        },
      ),
      { numRuns: 25 },
    );
  });
});
