import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe } from 'vitest';
import { sourceConformance } from '../../../test/conformance/source.js';
import { file } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const rows = 40_000;
const numbers = Array.from({ length: rows }, (_, id) => id);
const csv = `id,name\n${numbers.map((id) => `${id},"quoted, ""twice""\nand ${id}"\n`).join('')}`;
const ndjson = numbers.map((id) => `{"id":${id},"name":"a name that is long enough, ${id}"}\n`).join('');

describe.each([
  ['rows.csv', csv],
  ['rows.csv.gz', gzipSync(csv)],
  ['rows.ndjson', ndjson],
  ['rows.ndjson.gz', gzipSync(ndjson)],
])('file %s', (name, content) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  sourceConformance({ make: () => file({ path }), rows });
});
