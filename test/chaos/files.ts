import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Random } from './random.js';

const forms = ['csv', 'csv.gz', 'ndjson', 'ndjson.gz'] as const;

/** Files with numbered rows, some of them bad, and what must come of them. */
export interface Files {
  readonly paths: readonly string[];
  readonly rows: number;
  readonly good: number;
  /** MD5 of the good rows as the database would write them down, in the order of their numbers. */
  readonly checksum: string;
  /** Of each bad row its file and its place in it, sorted. */
  readonly bad: readonly string[];
}

/** The same of a table `t (id bigint, name text, amount numeric)`, as SQL. */
export const checksumSql = `md5(coalesce(string_agg(concat_ws('|', id, name, amount), E'\\n' ORDER BY id), ''))`;

export async function makeFiles(folder: string, rows: number, random: Random): Promise<Files> {
  const form = random.pick(forms);
  const count = random.pick([1, 1, 3, 10]);
  const badEvery = random.int(400, 1_500);
  const lines: string[] = [];
  const bad: string[] = [];
  const paths: string[] = [];
  await mkdir(folder, { recursive: true });
  for (let i = 0, id = 0; i < count; i++) {
    const path = join(folder, `${String(i).padStart(2, '0')}.${form}`);
    const end = Math.round((rows * (i + 1)) / count);
    const content: string[] = form.startsWith('csv') ? ['id,name,amount\n'] : [];
    for (let row = 0; id < end; row++, id++) {
      // Some names span lines, which a file cut by lines instead of records would not survive.
      const name = id % 97 === 0 ? `name, "${id}"\nand more` : `name ${id}`;
      const amount = (id * 7 - 50_000) / 100;
      const isBad = id % badEvery === badEvery >> 1;
      const given = isBad ? `bad ${id}` : String(id);
      content.push(
        form.startsWith('csv')
          ? `${given},"${name.replaceAll('"', '""')}",${amount.toFixed(2)}\n`
          : `{"id":${isBad ? `"${given}"` : given},"name":${JSON.stringify(name)},"amount":${amount.toFixed(2)}}\n`,
      );
      if (isBad) bad.push(`${path} ${row}`);
      else lines.push(`${id}|${name}|${amount.toFixed(2)}`);
    }
    const bytes = Buffer.from(content.join(''));
    await writeFile(path, form.endsWith('.gz') ? gzipSync(bytes) : bytes);
    paths.push(path);
  }
  const checksum = createHash('md5').update(lines.join('\n')).digest('hex');
  return { paths, rows, good: lines.length, checksum, bad: bad.sort() };
}
