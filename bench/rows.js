// @ts-check
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';

/**
 * One row of the data set, as an application would hold it.
 * @typedef {{ id: number, name: string, note: string | null, amount: number, seen_at: Date, tags: string[] }} Row
 */

/** Columns in file order, with their types. */
export const columns = {
  id: 'bigint',
  name: 'text',
  note: 'text',
  amount: 'numeric',
  seen_at: 'timestamptz',
  tags: 'text[]',
};

const first = ['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald', 'Frances', 'Niklaus', 'Radia', 'Kenneth', 'Adele'];
const last = ['Hopper', 'Knuth', 'Liskov', 'Dijkstra', 'Wirth', 'Allen', 'Perlman', 'Lovelace', 'Goldberg', 'Müller'];
const notes = ['called back', 'wants a quote', 'paid, late', 'asked twice for it', 'new', 'moved', 'regular, dormant'];
const quoted = [
  'said "no, thanks"',
  'known as "the boss"',
  'first line\nsecond line',
  'a\n"b"\nc',
  'left; came back\n',
];
const tagLists = [['new'], ['regular'], ['fraud', 'new'], ['dormant', 'gold'], ['a b', 'c,d'], ['say "hi"'], []];
const day = 86_400_000;
const epoch = Date.UTC(2024, 0, 1);

/**
 * Row `id`, the same on every machine. `version` 1 differs from 0 in the amount of every row.
 * About 80 bytes as CSV; one note in eight has quotes or line breaks, one in sixteen is null, one in sixteen empty.
 * @param {number} id
 * @returns {Row}
 */
export function row(id, version = 0) {
  const a = mix(id);
  const b = mix(a ^ 0x9e3779b9);
  return {
    id,
    name: `${first[a % 10]} ${last[(a >>> 8) % 10]}`,
    note: noteOf(b),
    amount: (((b >>> 4) % 10_000_000) + version * 100) / 100,
    seen_at: new Date(epoch + (a % 700) * day + (b % 86_400) * 1000),
    tags: tagLists[(a >>> 16) % 7] ?? [],
  };
}

/** @param {number} random */
function noteOf(random) {
  const kind = random % 16;
  if (kind === 0) return null;
  if (kind === 1) return '';
  const from = kind < 4 ? quoted : notes;
  return from[(random >>> 12) % from.length] ?? '';
}

/** The finalizer of MurmurHash3: neighbours get unlike numbers. @param {number} n */
function mix(n) {
  let h = n | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** @param {Row} row */
export function csvLine({ id, name, note, amount, seen_at, tags }) {
  const when = seen_at.toISOString();
  const text = note === null ? '' : quote(note);
  return `${id},${name},${text},${amount},${when.slice(0, 10)} ${when.slice(11, 19)}+00,${quote(arrayText(tags))}\n`;
}

/** @param {string} text */
function quote(text) {
  return `"${text.replaceAll('"', '""')}"`;
}

/** As PostgreSQL reads an array. @param {readonly string[]} tags */
function arrayText(tags) {
  const items = tags.map((tag) => (/^\w+$/.test(tag) ? tag : `"${tag.replaceAll('"', '\\"')}"`));
  return `{${items.join(',')}}`;
}

/**
 * Writes rows `from + 1` to `to` as CSV with a header.
 * @param {string} path
 * @param {{ from?: number, to: number, version?: number, line?: (row: Row) => string }} range `line` replaces `csvLine`
 */
export async function writeCsv(path, { from = 0, to, version = 0, line = csvLine }) {
  const out = createWriteStream(path, { highWaterMark: 1024 * 1024 });
  let text = `${Object.keys(columns).join(',')}\n`;
  for (let id = from + 1; id <= to; id++) {
    text += line(row(id, version));
    if (id % 5_000 !== 0) continue;
    if (!out.write(text)) await once(out, 'drain');
    text = '';
  }
  out.end(text);
  await once(out, 'finish');
}
