// @ts-check
// How fast CSV is cut into records and parsed, and NDJSON decoded, in memory and from a file; and what a whole read of
// a file holds in memory. After `npm run build`: node bench/csv-read.js [megabytes of the file]
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { parseCsvRecord } from '../dist/formats/csv-record.js';
import { CsvSplitter } from '../dist/formats/csv-split.js';
import { readNdjson } from '../dist/formats/ndjson.js';
import { file } from '../dist/sources/file/index.js';

/** @param {number} i */
const csvRow = (i) =>
  `${i},"name, ${i} ""q""",some text here ${i * 7},${(i % 1000) / 100},2024-01-01 00:00:00+00,"{a,b}"${i % 20 ? '' : ',"a\nb"'}${i % 20 ? ',c' : ''}\n`;
/** @param {number} i */
const jsonRow = (i) =>
  `${JSON.stringify({ id: i, name: `name ${i}`, text: `some text here ${i * 7}`, n: i / 4, at: '2024-01-01T00:00:00Z', tags: ['a', 'b'] })}\n`;

/** @param {(i: number) => string} row @param {number} bytes */
const filled = (row, bytes) => {
  const rows = [];
  for (let i = 0, length = 0; length < bytes; i++) length += rows[rows.push(row(i)) - 1]?.length ?? 0;
  return Buffer.from(rows.join(''));
};

/**
 * The best of several rounds, for the machine is shared.
 * @param {string} name @param {number} bytes @param {() => number | Promise<number>} run gives the rows it saw
 */
async function measure(name, bytes, run, rounds = 7) {
  let best = Number.POSITIVE_INFINITY;
  let rows = 0;
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    rows = await run();
    best = Math.min(best, performance.now() - start);
  }
  const perByte = ((best * 1e6) / bytes).toFixed(2);
  const rate = `${(bytes / 1e3 / best).toFixed(0)} MB/s, ${(rows / best).toFixed(0)} k rows/s`;
  console.log(`${name.padEnd(34)} ${perByte} ns/byte, ${rate}`);
}

const layout = {
  fields: ['id', 'name', 'text', 'n', 'at', 'tags', 'x'],
  delimiter: ',',
  quote: '"',
  null: '',
  eol: /** @type {const} */ ('\n'),
};
const step = 256 * 1024;

// Files first: what they take of memory is to be seen alone.
const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
try {
  const megabytes = Number(process.argv[2] ?? 200);
  const context = {
    run: 'bench',
    job: 'bench',
    epoch: 0,
    signal: new AbortController().signal,
    log: console,
    problem: console.log,
  };
  for (const [name, row, gzip] of /** @type {const} */ ([
    ['a.csv', csvRow, false],
    ['a.csv.gz', csvRow, true],
    ['a.ndjson', jsonRow, false],
  ])) {
    const path = join(folder, name);
    const block = filled(row, 1e6);
    async function* blocks() {
      if (row === csvRow) yield `${layout.fields.join()}\n`;
      for (let i = 0; i < megabytes; i++) yield block;
    }
    await (gzip
      ? pipeline(blocks, createGzip({ level: 1 }), createWriteStream(path))
      : pipeline(blocks, createWriteStream(path)));
    let peak = 0;
    const bytes = megabytes * block.length;
    const read = async () => {
      let rows = 0;
      const source = file({ path });
      for await (const split of source.splits(context)) {
        for await (const chunk of source.read(split, undefined, context)) {
          rows += chunk.span.rows;
          peak = Math.max(peak, process.memoryUsage.rss());
        }
      }
      return rows;
    };
    await measure(`read the file ${name}, ${(bytes / 1e6).toFixed(0)} MB`, bytes, read, 3);
    console.log(`${''.padEnd(34)} RSS at most ${(peak / 1e6).toFixed(0)} MB`);
  }
} finally {
  await rm(folder, { recursive: true });
}

for (const [name, data] of /** @type {const} */ ([
  ['some quotes', filled(csvRow, 32e6)],
  [
    'no quotes',
    filled(
      (i) =>
        csvRow(i)
          .replaceAll(/["]|\n(?=b)/g, '')
          .replace(', ', ' ')
          .replace('{a,b}', '{a}'),
      32e6,
    ),
  ],
])) {
  await measure(`cut CSV, ${name}`, data.length, () => {
    const splitter = new CsvSplitter(layout);
    let rows = 0;
    for (let at = 0; at < data.length; at += step) {
      for (const run of splitter.push(data.subarray(at, at + step))) rows += run.ends.length;
    }
    return rows;
  });
  await measure(`cut and parse CSV, ${name}`, data.length, () => {
    const splitter = new CsvSplitter(layout);
    /** @type {(string | null)[]} */
    const into = [];
    let rows = 0;
    for (let at = 0; at < data.length; at += step) {
      for (const run of splitter.push(data.subarray(at, at + step))) {
        let start = 0;
        for (const end of run.ends) {
          if (parseCsvRecord(layout, run.data, start, end, into))
            throw new Error(run.data.toString('utf8', start, end));
          start = end;
        }
        rows += run.ends.length;
      }
    }
    return rows;
  });
}

const json = filled(jsonRow, 32e6);
await measure('decode NDJSON', json.length, async () => {
  async function* bytes() {
    for (let at = 0; at < json.length; at += step) yield json.subarray(at, at + step);
  }
  let rows = 0;
  for await (const chunk of readNdjson(bytes(), { split: 'bench' })) rows += chunk.span.rows;
  return rows;
});
