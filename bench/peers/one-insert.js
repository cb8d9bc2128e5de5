// @ts-check
/**
 * One INSERT a record through 20 connections, each prepared once: what a program does that has no loader.
 * Run as `node one-insert.js <url> <table> <rows>`; prints the seconds from before the first connection to after the last.
 */
import pg from 'pg';
import { columns, row } from '../rows.js';

const [url = '', table = '', count = '0'] = process.argv.slice(2);
const rows = Array.from({ length: Number(count) }, (_, index) => row(index + 1));
const names = Object.keys(columns);
const text = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`;

const startedAt = performance.now();
const pool = new pg.Pool({ connectionString: url, max: 20 });
let next = 0;
const inserter = async () => {
  while (next < rows.length) {
    const { id, name, note, amount, seen_at, tags } = rows[next++] ?? row(0);
    await pool.query({ name: 'insert', text, values: [id, name, note, amount, seen_at, tags] });
  }
};
await Promise.all(Array.from({ length: 20 }, inserter));
await pool.end();
console.log(JSON.stringify({ seconds: (performance.now() - startedAt) / 1000 }));
