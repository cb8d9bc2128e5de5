// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.
import { readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import { globSync } from 'tinyglobby';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { jobFileSchema } from './json-schema.js';
import { isTree } from './tree.js';

const schema = await jobFileSchema();
// Formats only say more to editors.
const validate = new Ajv({ validateFormats: false, allowUnionTypes: true }).compile(schema);
const accepts = (yaml: string) => validate(parse(yaml));

test('schema/job.schema.json is not stale: npm run schema writes it', async () => {
  expect(JSON.parse(await readFile('schema/job.schema.json', 'utf8'))).toEqual(JSON.parse(JSON.stringify(schema)));
});

test.each(globSync('examples/*.yaml'))('%s fits', async (path) => {
  const fits = accepts(await readFile(path, 'utf8'));
  expect(validate.errors).toBeNull();
  expect(fits).toBe(true);
});

test('every option is described', () => {
  expect(undescribed(schema, '')).toEqual([]);
});

const sink = 'sink: { postgres: { url: "${DATABASE_URL}", table: t } }';

describe('what a job may say', () => {
  test.each([
    `source: { file: { path: [a.csv, b.csv], header: "\${HEADER}" } }\n${sink}\nworkers: "\${WORKERS:-4}"\nmaxErrors: 1%`,
    `source: { file: { path: "-", format: "\${FORMAT}" } }\n${sink}\nmaxErrors: 0\nignoreExtra: true`,
    `source: { http: { url: "https://h/", method: POST, body: { a: [1, { b: null }] }, auth: { bearer: "\${T}" } } }\n${sink}`,
    `source: { http: { url: "https://h/", pagination: { style: cursor, path: next } } }\n${sink}\ncolumns: { a: b, c: { value: 1 } }`,
    `source: { file: { path: a.csv } }\nsink: { postgres: { table: t, ledger: false, mode: upsert, key: [id] } }`,
  ])('%s', (yaml) => {
    const fits = accepts(yaml);
    expect(validate.errors).toBeNull();
    expect(fits).toBe(true);
  });
});

describe('what a job may not say', () => {
  test.each([
    sink,
    `source: { fiel: { path: a.csv } }\n${sink}`,
    `source: { file: { path: a.csv }, http: { url: "https://h/" } }\n${sink}`,
    `source: { file: { path: a.csv, fromat: csv } }\n${sink}`,
    `source: { file: { path: a.csv, format: xml } }\n${sink}`,
    `source: { file: { path: a.csv } }\n${sink}\nworkers: many`,
    `source: { file: { path: a.csv } }\n${sink}\nmaxErrors: 1.5`,
    `source: { http: { url: "https://h/", pagination: { style: cursor } } }\n${sink}`,
    `source: { file: { path: a.csv } }\nsink: { postgres: { table: t, ledger: "no" } }`,
    `source: { file: { path: a.csv } }\n${sink}\nresume: true`,
  ])('%s', (yaml) => {
    expect(accepts(yaml)).toBe(false);
  });
});

/** Paths of properties without a description, however deep. */
function undescribed(node: unknown, path: string): string[] {
  if (Array.isArray(node)) return node.flatMap((item) => undescribed(item, path));
  if (!isTree(node)) return [];
  const { properties, ...rest } = node;
  const own = Object.entries(isTree(properties) ? properties : {}).flatMap(([name, property]) => {
    const lacks = isTree(property) && typeof property.description !== 'string';
    return [...(lacks ? [`${path}.${name}`] : []), ...undescribed(property, `${path}.${name}`)];
  });
  return [...own, ...Object.entries(rest).flatMap(([key, value]) => undescribed(value, `${path}/${key}`))];
}
