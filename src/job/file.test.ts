// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.
import { describe, expect, test } from 'vitest';
import { readJob } from './file.js';

const environment = {
  DATABASE_URL: 'postgres://u:hunter2@db/x?a=[b]: "c" #',
  WORKERS: '8',
  CREATE: 'true',
  MODE: 'hunter2',
};

const cities = `
source:
  http:
    url: http://127.0.0.1:8000/cities
    items: $                      # or a path, such as data.items
    pagination: { style: page, param: _page, size: { param: _limit, value: 100 }, total: { header: X-Total-Count } }
    parallel: 8
columns: { id: cityId, name: name, lon: "loc.coordinates[0]", lat: "loc.coordinates[1]" }
sink:
  postgres: { url: "\${DATABASE_URL}", table: cities, mode: upsert, key: [id], create: true }
`;

function read(text: string) {
  return readJob(text, 'job.yaml', environment);
}

async function complaint(text: string): Promise<string> {
  const error: unknown = await read(text).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: 'ConfigError', code: 'bad-job' });
  return error instanceof Error ? error.message : '';
}

const minimal = 'source: { file: { path: a.csv } }\nsink: { postgres: { table: t } }\n';

describe('readJob', () => {
  test('reads a job, variables included', async () => {
    expect(await read(cities)).toEqual({
      source: {
        name: 'http',
        options: {
          url: 'http://127.0.0.1:8000/cities',
          items: '$',
          pagination: {
            style: 'page',
            param: '_page',
            size: { param: '_limit', value: 100 },
            total: { header: 'X-Total-Count' },
          },
          parallel: 8,
        },
      },
      columns: { id: 'cityId', name: 'name', lon: 'loc.coordinates[0]', lat: 'loc.coordinates[1]' },
      sink: {
        name: 'postgres',
        options: { url: environment.DATABASE_URL, table: 'cities', mode: 'upsert', key: ['id'], create: true },
      },
    });
  });

  test('reads the settings of the whole job', async () => {
    const job = await read(`${minimal}workers: 4\nbatchSize: 1000\nlimit: 10\nmaxErrors: 1%\nignoreExtra: true\n`);
    expect(job).toMatchObject({ workers: 4, batchSize: 1000, limit: 10, maxErrors: '1%', ignoreExtra: true });
  });

  test('reads JSON, which is YAML too', async () => {
    const job = await read('{"source": {"file": {"path": "a.csv"}}, "sink": {"postgres": {"table": "t"}}}');
    expect(job.sink.options).toEqual({ table: 't' });
  });

  test('reads constants, defaults and casts of columns', async () => {
    const columns = { a: { value: 1 }, b: { from: 'x.y', default: null }, c: { from: 'z', cast: 'json' } };
    const job = await read(`${minimal}columns: ${JSON.stringify(columns)}`);
    expect(job.columns).toEqual(columns);
  });

  test('a variable may stand where a number, or true or false, is wanted', async () => {
    const job = await read(
      'source: { file: { path: a.csv } }\nsink: { postgres: { table: "${WORKERS}", create: "${CREATE}" } }\nworkers: "${WORKERS}"',
    );
    expect(job.workers).toBe(8);
    expect(job.sink.options).toEqual({ table: '8', create: true });
  });

  test('a quoted number that no variable gave is still a text', async () => {
    expect(await complaint(`${minimal}workers: "8"`)).toBe('job.yaml:3:10 workers: expected a number, found a text');
  });

  test('an alias is expanded once', async () => {
    const job = await read('source: { file: { path: &p "$${X}" } }\nsink: { postgres: { table: *p } }');
    expect(job.sink.options).toEqual({ table: '${X}' });
  });
});

describe('what is wrong with a job', () => {
  test('is said all at once, with line, column and path', async () => {
    const text = `source:
  http:
    ulr: http://127.0.0.1:8000/cities
    pagination: { style: pages }
    parallel: 0
sink:
  postgres:
    url: "\${NOWHERE}"
    mode: upsrt
    key: id
batch-size: 5
maxErrors: 200%
`;
    const lines = (await complaint(text)).split('\n');
    const expected = [
      /^job\.yaml has 10 mistakes:$/,
      /^ {2}job\.yaml:2:3 source\.http\.url: is missing/,
      /^ {2}job\.yaml:3:5 source\.http\.ulr: unknown key "ulr"; did you mean "url"\?$/,
      /^ {2}job\.yaml:4:26 source\.http\.pagination\.style: expected .*page.*, found "pages"; did you mean "page"\?$/,
      /^ {2}job\.yaml:5:15 source\.http\.parallel: must be at least 1$/,
      /^ {2}job\.yaml:7:3 sink\.postgres\.table: is missing \(table, or schema\.table/,
      /^ {2}job\.yaml:8:10 sink\.postgres\.url: environment variable NOWHERE is not set; set it, or give a default/,
      /^ {2}job\.yaml:9:11 sink\.postgres\.mode: expected .*upsert.*, found "upsrt"; did you mean "upsert"\?$/,
      /^ {2}job\.yaml:10:10 sink\.postgres\.key: expected a list, found a text$/,
      /^ {2}job\.yaml:11:1 batch-size: unknown key "batch-size"; did you mean "batchSize"\?$/,
      /^ {2}job\.yaml:12:12 maxErrors: expected a count such as 100, or a share between 0% and 100%, such as "1%"$/,
    ];
    expect(lines).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  test('never shows what a variable holds', async () => {
    const message = await complaint(
      'source: { file: { path: a.csv } }\nsink: { postgres: { table: t, mode: "${MODE}", create: "${DATABASE_URL}" } }',
    );
    expect(message).toContain('expected append, upsert or ignore, found a text');
    expect(message).toContain('expected true or false, found a text');
    expect(message).not.toContain('hunter2');
  });

  test.each([
    ['', 'job.yaml:1:1: expected a mapping, found nothing'],
    ['- a', 'job.yaml:1:1: expected a mapping, found a list'],
    ['source: { file: { path: a.csv } }', 'job.yaml:1:1 sink: is missing (where records go'],
    [minimal.replace('file', 'flie'), 'job.yaml:1:11 source.flie: unknown key "flie"; did you mean "file"?'],
    [
      'source: {}\nsink: { postgres: { table: t } }',
      'job.yaml:1:9 source: expected one source, file or http or rejects',
    ],
    [`${minimal}columns: { a: { form: x } }`, 'columns.a.form: unknown key "form"; did you mean "from"?'],
    [`${minimal}columns: { a: 5 }`, 'job.yaml:3:15 columns.a: expected a text or a mapping, found a whole number'],
    [`${minimal}limit: 9007199254740993`, 'job.yaml:3:8 limit: is too large to be kept digit for digit'],
    [`${minimal}limit: 1\nlimit: 2`, 'job.yaml:4:1: Map keys must be unique'],
    ['sink: { postgres: { url: ${DATABASE_URL} } }', 'Within { } and [ ] a variable needs quotes: "${NAME}".'],
    ['a: [1\nb: }', 'job.yaml:2:1: Flow sequence in block collection'],
    ['a: *nowhere', 'job.yaml: Unresolved alias'],
    ['a: !secret x', 'job.yaml:1:4: Unresolved tag'],
  ])('%j: %s', async (text, expected) => {
    expect(await complaint(text)).toContain(expected);
  });
});
