import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readdir, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { collect } from '../../../test/collect.js';
import { readContext } from '../../../test/read-context.js';
import type { Chunk, ResumePoint } from '../../contract/index.js';
import { parseCsvRecord } from '../../formats/csv-record.js';
import { type FileOptions, file } from './index.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-file-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content);
  return path;
}

function rows(chunks: readonly Chunk[]): Record<string, unknown>[] {
  return chunks.flatMap((chunk) => {
    if (chunk.kind === 'records') return [...chunk.records];
    const { layout, data, ends } = chunk;
    return Array.from(ends, (end, i) => {
      const into: (string | null)[] = [];
      const refusal = parseCsvRecord(layout, data, ends[i - 1] ?? 0, end, into);
      if (refusal) throw new Error(refusal.reason);
      return Object.fromEntries(layout.fields.map((field, i) => [field, into[i]]));
    });
  });
}

/** All records of all files, by split. */
async function readAll(options: FileOptions, context = readContext()): Promise<Record<string, unknown>> {
  await using source = file(options);
  const read: Record<string, unknown> = {};
  for (const split of await collect(source.splits(context))) {
    read[split.id] = rows(await collect(source.read(split, undefined, context)));
  }
  return read;
}

const csv = 'id,name\n1,a\n2,"b\nb"\n';
const records = [
  { id: '1', name: 'a' },
  { id: '2', name: 'b\nb' },
];

/** More than a few reads' worth. */
const many = `id,text\n${Array.from({ length: 8_000 }, (_, i) => `${i},"text ${i}${', \n'.repeat(60)}"`).join('\n')}`;

describe('file', () => {
  test('tells format, delimiter and gzip by name and content', async () => {
    const json = '{"id":1}\n';
    const paths = await Promise.all([
      write('names/a.csv', csv),
      write('names/b.CSV.gz', gzipSync(csv)),
      write('names/c.tsv', csv.replaceAll(',', '\t')),
      write('names/d.ndjson', json),
      write('names/e.jsonl.gz', gzipSync(json)),
      write('names/f.csv.gz', csv),
      write('names/g.csv', gzipSync(csv)),
    ]);
    const read = await readAll({ path: paths });
    expect(Object.values(read)).toEqual([records, records, records, [{ id: 1 }], [{ id: 1 }], records, records]);
    expect(Object.keys(read)).toEqual(paths);
  });

  test('takes format and dialect from the options', async () => {
    const path = await write('dialect.txt', "1;'a;''b'''\n-;-\n");
    const options = { format: 'csv', delimiter: ';', quote: "'", null: '-', fields: ['x', 'y'] } as const;
    expect(Object.values(await readAll({ path, ...options }))).toEqual([
      [
        { x: '1', y: "a;'b'" },
        { x: null, y: null },
      ],
    ]);
  });

  test('gives the size of plain files, and a name that says what was asked for', async () => {
    const path = await write('size.csv', csv);
    const gz = await write('size.csv.gz', gzipSync(csv));
    const source = file({ path: [path, gz], delimiter: ',' });
    expect(await collect(source.splits(readContext()))).toMatchObject([{ id: path, bytes: csv.length }, { id: gz }]);
    expect(source.name).toBe('file');
    expect(source.identity).toBe(`file:${path},${gz} delimiter=","`);
  });

  test('a split has a fingerprint that changes with its content, its size and its time', async () => {
    const fingerprint = async (path: string) => (await collect(file({ path }).splits(readContext())))[0]?.fingerprint;
    const path = await write('print.csv', csv);
    const first = await fingerprint(path);
    expect(await fingerprint(path)).toBe(first);
    await utimes(path, new Date(0), new Date(0));
    const touched = await fingerprint(path);
    expect(touched).not.toBe(first);
    await write('print.csv', csv.replace('1', '2'));
    await utimes(path, new Date(0), new Date(0));
    expect(await fingerprint(path)).not.toBe(touched);
  });

  test('takes globs, sorted, each file once, and names files as the glob does', async () => {
    for (const name of ['globs/b.csv', 'globs/a.csv', 'globs/c/d.csv', 'globs/x[1].csv']) await write(name, csv);
    const base = relative(process.cwd(), join(folder, 'globs'));
    const found = async (...path: string[]) => {
      const splits = await collect(file({ path }).splits(readContext()));
      return splits.map(({ id }) => relative(base, id));
    };
    expect(await found(`${base}/*.csv`)).toEqual(['a.csv', 'b.csv', 'x[1].csv']);
    expect(await found(`${base}/**/*.csv`, `${base}/a.csv`)).toEqual(['a.csv', 'b.csv', 'c/d.csv', 'x[1].csv']);
    expect(await found(`${base}/b.csv`, `${base}/*.csv`)).toEqual(['b.csv', 'a.csv', 'x[1].csv']);
    expect(await found(`${base}/x[1].csv`)).toEqual(['x[1].csv']);
    for (const start of [base, join(folder, 'globs')]) {
      expect(await collect(file({ path: `${start}/a*` }).splits(readContext()))).toMatchObject([
        { id: `${start}/a.csv`, bytes: csv.length },
      ]);
    }
  });

  test.each<[string, string, string, RegExp]>([
    ['a missing file', 'nowhere.csv', 'no-such-file', /nowhere\.csv can't be read: there is no such file/],
    ['a directory', 'directory.csv', 'is-a-directory', /directory\.csv is a directory: name its files/],
    ['a glob without a match', 'nothing*.csv', 'no-files', /no file matches .*nothing\*\.csv/],
  ])('refuses %s before anything is read', async (_what, name, code, message) => {
    await mkdir(join(folder, 'directory.csv'), { recursive: true });
    const path = [await write('there.csv', csv), join(folder, name)];
    const splits = file({ path }).splits(readContext())[Symbol.asyncIterator]();
    await expect(splits.next()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test.each([
    ['id;name\n1;a\n', 'semi.csv', undefined, ';'],
    ['id\tname\n1\ta\n', 'tabs.csv', undefined, '\\t'],
    ['id,name\n1,a\n', 'commas.tsv', undefined, ','],
    ['id,name\n1,a\n', 'commas.csv', ';', ','],
    ['id|name\n1|a\n', 'pipes.csv', '!', '|'],
  ])(
    'a header %j of %s, read by %o as one field, is told from a file of one column',
    async (text, name, used, real) => {
      const path = await write(name, text);
      const read = async (options: FileOptions) => {
        const source = file(options);
        const [split] = await collect(source.splits(readContext()));
        return collect(source.read(split!, undefined, readContext()));
      };
      await expect(read({ path, ...(used && { delimiter: used }) })).rejects.toMatchObject({
        code: 'bad-header',
        message: expect.stringContaining(`--delimiter '${real}'`),
      });
      const whole = { fields: ['whole'], header: true };
      expect(await read({ path, ...(used && { delimiter: used }), ...whole })).toHaveLength(1);
    },
  );

  test('a single field whose quoted name holds the delimiter itself is one field', async () => {
    const source = file({ path: await write('quoted.csv', '"name, first"\n"a, b"\n') });
    const [split] = await collect(source.splits(readContext()));
    expect(await collect(source.read(split!, undefined, readContext()))).toHaveLength(1);
  });

  test.each<[FileOptions, RegExp]>([
    [
      { path: '-' },
      /standard input has no name to tell its format by: give "format" \(csv or ndjson; on the command line --format\)/,
    ],
    [{ path: 'a.txt' }, /a\.txt doesn't tell its format/],
    [{ path: 'a.csv', header: false }, /header: a file without a header needs "fields"/],
    [{ path: 'a.csv', fields: ['a', 'a'] }, /fields: must name each field once/],
    [{ path: 'a.csv', delimiter: ';;' }, /delimiter: must be one ASCII character/],
    [{ path: 'a.csv', delimiter: '"' }, /delimiter: must not be the quote/],
    [{ path: 'a.csv', null: 'a,b' }, /null: must not hold the delimiter/],
    [{ path: 'a.tsv', null: 'a\tb' }, /null: must not hold the delimiter, which is "\\t" in a\.tsv/],
  ])('refuses the options %j', (options, message) => {
    expect(() => file(options)).toThrow(
      expect.objectContaining({ name: 'ConfigError', message: expect.stringMatching(message) }),
    );
  });

  test('a directory is named as one where its format is asked for', () => {
    const message = 'src is a directory: name its files, such as src/*.csv';
    expect(() => file({ path: 'src' })).toThrow(expect.objectContaining({ code: 'is-a-directory', message }));
  });

  test('a path that can not be looked at is one that does not tell its format', async () => {
    const loop = join(folder, 'loop');
    await symlink(loop, loop);
    expect(() => file({ path: loop })).toThrow(expect.objectContaining({ code: 'format-unknown' }));
  });

  test.each(['many.csv', 'many.csv.gz'])('reads on in %s from any chunk', async (name) => {
    const path = await write(name, name.endsWith('gz') ? gzipSync(many) : many);
    const source = file({ path });
    const context = readContext();
    const [split] = await collect(source.splits(context));
    const chunks = await collect(source.read(split!, undefined, context));
    const all = rows(chunks);
    expect(all).toHaveLength(8_000);
    expect(all[2_345]).toEqual({ id: '2345', text: `text 2345${', \n'.repeat(60)}` });
    expect(chunks.length).toBeGreaterThan(5);
    for (const { span } of [chunks[0]!, chunks[1]!, chunks[4]!, chunks.at(-1)!]) {
      const from: ResumePoint = JSON.parse(JSON.stringify(span.next));
      const rest = await collect(source.read(split!, from, context));
      expect(rest[0]?.span.from ?? 8_000).toBe(from.row);
      expect(rows(rest)).toEqual(all.slice(from.row));
    }
  });

  test('takes a gzip file of several members, wherever their bounds fall', async () => {
    const members = [csv, '3,c\n', '4,d\n'.repeat(70_000), '5,e\n'].map((part) => gzipSync(part, { level: 0 }));
    const read = await readAll({ path: await write('members.csv.gz', Buffer.concat(members)) });
    expect(Object.values(read)[0]).toHaveLength(2 + 1 + 70_000 + 1);
  });

  test('what follows the members of a gzip file may be zeros, and nothing else', async () => {
    const damaged = gzipSync('3,c\n4,d\n');
    damaged[0] = 0;
    const zeros = Buffer.alloc(600_000);
    const tails: [string, Buffer, boolean][] = [
      ['padded', zeros, true],
      ['damaged', damaged, false],
      ['garbage', Buffer.from('garbage'), false],
      ['late', Buffer.concat([zeros, gzipSync('3,c\n')]), false],
      ['later', Buffer.concat([zeros, zeros, Buffer.from('x')]), false],
    ];
    for (const [name, tail, good] of tails) {
      const path = await write(`${name}.csv.gz`, Buffer.concat([gzipSync(csv), tail]));
      const reading = readAll({ path });
      if (good) expect(await reading).toEqual({ [path]: records });
      else await expect(reading).rejects.toMatchObject({ code: 'bad-gzip', message: expect.stringContaining(path) });
    }
  });

  test('a null string may hold the delimiter of other files', async () => {
    const path = await write('null.tsv', 'id\tt\n1\tn,a\n');
    expect(await readAll({ path, null: 'n,a' })).toEqual({ [path]: [{ id: '1', t: null }] });
  });

  test('a quote that is never closed is a problem of the file', async () => {
    const context = readContext();
    await using source = file({ path: await write('quote.csv', 'id,t\n1,"a\n2,b\n') });
    for await (const split of source.splits(context)) await collect(source.read(split, undefined, context));
    expect(context.problems).toMatchObject([{ name: 'unterminated-quote', incomplete: true }]);
  });

  test('a truncated or corrupt gzip file ends the reading, and names the file', async () => {
    const whole = gzipSync(many, { level: 0 });
    const corrupt = Buffer.from(whole);
    corrupt[whole.length - 1_000]! ^= 1;
    const contents = { truncated: whole.subarray(0, -5), short: whole.subarray(0, 5), corrupt };
    for (const [name, content] of Object.entries(contents)) {
      const path = await write(`${name}.csv.gz`, content);
      const chunks: Chunk[] = [];
      const reading = (async () => {
        for await (const chunk of file({ path }).read({ id: path }, undefined, readContext())) chunks.push(chunk);
      })();
      await expect(reading).rejects.toMatchObject({
        name: 'SourceError',
        code: 'bad-gzip',
        message: expect.stringMatching(
          name === 'corrupt' ? /corrupt\.csv\.gz is not valid gzip/ : /\.csv\.gz ends too early/,
        ),
      });
      const read = rows(chunks);
      expect(read.map(({ id }) => id)).toEqual(read.map((_, i) => String(i)));
      if (name !== 'short') expect(read.length).toBeGreaterThan(1_000);
    }
  });

  test('a file that shrinks while it is read, or since its splits were named, is an error', async () => {
    const path = await write('shrinks.csv', many);
    const context = readContext();
    const source = file({ path });
    const [split] = await collect(source.splits(context));
    const chunks = source.read(split!, undefined, context)[Symbol.asyncIterator]();
    await chunks.next();
    await truncate(path, 700_000);
    const rest = (async () => {
      while (!(await chunks.next()).done);
    })();
    await expect(rest).rejects.toMatchObject({ code: 'source-shrank', message: expect.stringContaining(path) });
    await expect(collect(source.read(split!, undefined, context))).rejects.toMatchObject({ code: 'source-shrank' });
    const from = { row: 9, token: 800_000 };
    await expect(collect(source.read({ id: path }, from, context))).rejects.toMatchObject({ code: 'source-shrank' });
  });

  test('reads what was appended since its splits were named', async () => {
    const path = await write('grows.csv', csv);
    const source = file({ path });
    const [split] = await collect(source.splits(readContext()));
    await appendFile(path, '3,c\n');
    expect(rows(await collect(source.read(split!, undefined, readContext())))).toHaveLength(3);
  });

  test.each(['leaves.csv', 'leaves.csv.gz', 'leaves.ndjson'])(
    'lets go of %s when the consumer stops early',
    async (name) => {
      const text = name.endsWith('ndjson') ? '{"a":1}\n'.repeat(100_000) : many;
      const path = await write(name, name.endsWith('gz') ? gzipSync(text) : text);
      for await (const chunk of file({ path }).read({ id: path }, undefined, readContext())) {
        expect(chunk.span.rows).toBeGreaterThan(0);
        break;
      }
      await expect.poll(() => openFiles(path)).toBe(0);
    },
  );

  test('stops when the signal says so', async () => {
    const path = await write('aborts.csv', many);
    const abort = new AbortController();
    const chunks = file({ path }).read({ id: path }, undefined, readContext(abort.signal))[Symbol.asyncIterator]();
    await chunks.next();
    abort.abort(new Error('enough'));
    const rest = (async () => {
      while (!(await chunks.next()).done);
    })();
    await expect(rest).rejects.toThrow('enough');
    await expect.poll(() => openFiles(path)).toBe(0);
  });

  test('reads a named pipe, plain and gzip', async () => {
    for (const [name, content] of [
      ['pipe.csv', many],
      ['pipe.csv.gz', gzipSync(many)],
    ] as const) {
      const path = join(folder, name);
      await once(spawn('sh', ['-c', 'mkfifo "$0"', path]), 'exit');
      const reading = readAll({ path });
      await writeFile(path, content);
      expect((await reading)[path]).toHaveLength(8_000);
    }
  });
});

/** Descriptors of this process that lead to a file. */
async function openFiles(path: string): Promise<number> {
  const { readlink } = await import('node:fs/promises');
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((link) => link === path).length;
}

describe('file, from standard input', () => {
  const own = Object.getOwnPropertyDescriptor(process, 'stdin')!;
  const standIn = (input: Readable) => Object.defineProperty(process, 'stdin', { ...own, get: () => input });
  afterEach(() => {
    Object.defineProperty(process, 'stdin', own);
  });

  test.each([1, 2, 1000])('reads CSV, plain and gzip, that comes %i bytes at a time', async (size) => {
    const members = [gzipSync(csv.slice(0, 9)), gzipSync(csv.slice(9))];
    for (const bytes of [Buffer.from(csv), gzipSync(csv), Buffer.concat(members)]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      standIn(Readable.from(pieces));
      expect(await readAll({ path: '-', format: 'csv' })).toEqual({ '-': records });
    }
  });

  test('is empty without an error', async () => {
    standIn(Readable.from([]));
    expect(await readAll({ path: '-', format: 'ndjson' })).toEqual({ '-': [] });
  });

  test('does not wait for more once the signal says stop', async () => {
    const input = new Readable({ read() {} });
    standIn(input);
    const abort = new AbortController();
    const reading = readAll({ path: '-', format: 'csv' }, readContext(abort.signal));
    setTimeout(() => abort.abort(new Error('enough')), 20);
    await expect(reading).rejects.toThrow('enough');
    expect(input.destroyed).toBe(true);
  });
});
