// @ts-check
/**
 * Loads the data set from objects in memory with Sluice as a library.
 * Run as `node load-objects.js <url> <table> <rows> [workers]`; prints the seconds of the load: connecting, planning, writing and
 * closing, without the making of the objects.
 */
import { load } from '../dist/index.js';
import { postgres } from '../dist/sinks/postgres/index.js';
import { iterable } from '../dist/sources/iterable/index.js';
import { row } from './rows.js';

const [url = '', table = '', count = '0', workers] = process.argv.slice(2);
const rows = Array.from({ length: Number(count) }, (_, index) => row(index + 1));

const startedAt = performance.now();
const report = await load({
  source: iterable(rows),
  sink: postgres({ url, table }),
  ...(workers !== undefined && { workers: Number(workers) }),
});
const seconds = (performance.now() - startedAt) / 1000;
console.log(JSON.stringify({ seconds, written: report.written }));
