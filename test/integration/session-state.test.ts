import { expect, test } from 'vitest';
import { load } from '../../src/index.js';
import { postgres } from '../../src/sinks/postgres/index.js';
import { iterable } from '../../src/sources/iterable/index.js';
import { scratchDatabase } from '../servers/database.js';
import { lineTo } from '../sinks/postgres/line.js';

interface Sent {
  /** Of the prepared statement; empty for one that is gone at the next. */
  readonly name: string;
  readonly text: string;
}

/** Picks the statements out of what clients send (PostgreSQL's manual, "Message Formats"): Query and Parse. */
function statementReader(found: (sent: Sent) => void): (data: Buffer, connection: number) => boolean {
  const held = new Map<number, { bytes: Buffer; started: boolean }>();
  return (data, connection) => {
    const { bytes, started } = held.get(connection) ?? { bytes: Buffer.alloc(0), started: false };
    const state = { bytes: Buffer.concat([bytes, data]), started };
    for (;;) {
      const head = state.started ? 5 : 4;
      if (state.bytes.length < head) break;
      const length = state.bytes.readInt32BE(head - 4) + head - 4;
      if (state.bytes.length < length) break;
      const message = state.bytes.subarray(0, length);
      state.bytes = state.bytes.subarray(length);
      const type = state.started ? String.fromCharCode(message[0]!) : '';
      const [first = '', second = ''] = message.subarray(5).toString('utf8').split('\0');
      if (type === 'Q') found({ name: '', text: first.trim() });
      if (type === 'P') found({ name: first, text: second.trim() });
      // The question for TLS comes before the startup message, whose version is 3.0.
      if (!state.started) state.started = message.readInt32BE(4) === 196608;
    }
    held.set(connection, state);
    return true;
  };
}

/** What PostgreSQL, and with it RDS Proxy and poolers, would keep for the session when the transaction is over. */
const lasting: Readonly<Record<string, RegExp>> = {
  'a setting': /(?:^|;)\s*SET\s+(?!LOCAL\b|TRANSACTION\b)/i,
  'a setting by function': /set_config\((?:[^()]|\([^()]*\))*,\s*false\s*\)/i,
  'a temporary table': /CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\s(?!.*ON COMMIT DROP)/is,
  'an advisory lock': /pg_(?:try_)?advisory_lock/i,
  'a prepared statement': /^\s*(?:PREPARE|DEALLOCATE|EXECUTE)\b/i,
  'a cursor': /^\s*DECLARE\s+\S+\s.*CURSOR/is,
  'what was listened for': /^\s*(?:UN)?LISTEN\b/i,
  'a reset': /^\s*(?:DISCARD|RESET|LOAD)\b/i,
};

test('nothing that a load sends outlives its transaction, in any mode, with rejects, a reading back and a resume', async () => {
  await using db = await scratchDatabase();
  await using line = await lineTo(db.url);
  const sent: Sent[] = [];
  line.onSent = statementReader((statement) => sent.push(statement));
  await db.client.query('CREATE TABLE t (id int PRIMARY KEY, name varchar(10), at timestamptz)');
  const records = Array.from({ length: 5_000 }, (_, id) => ({
    id: id % 4_900,
    name: id === 321 ? 'much too long' : `n${id}`,
    at: '2026-01-31 12:00+01',
  }));
  for (const mode of ['upsert', 'ignore'] as const) {
    const sink = postgres({ url: line.url, table: 't', mode });
    const report = await load({ source: iterable(records), sink, batchRows: 700, verify: 'full' });
    expect(report.status).toBe('complete-with-rejects');
  }
  const append = () => postgres({ url: line.url, table: 'made', create: true });
  const stop = new AbortController();
  const stopped = load({
    source: iterable(records),
    sink: append(),
    batchRows: 100,
    workers: 2,
    signal: stop.signal,
    // Not before the run is ours: one that is given up while it begins is held until its lease is over.
    onProgress: ({ written }) => written > 0 && stop.abort(new Error('enough')),
  });
  await stopped.catch(() => {});
  await load({ source: iterable(records), sink: append(), batchRows: 700, resume: true, force: true });

  expect(sent.length).toBeGreaterThan(100);
  expect(sent.some(({ text }) => /^MERGE/.test(text))).toBe(true);
  expect(sent.some(({ text }) => /^COPY/.test(text))).toBe(true);
  expect(new Set(sent.map(({ name }) => name))).toEqual(new Set(['']));
  for (const [what, pattern] of Object.entries(lasting)) {
    expect(sent.filter(({ text }) => pattern.test(text)).map(({ text }) => `${what}: ${text}`)).toEqual([]);
  }
  // RDS Proxy keeps a session for whoever sends it a longer one.
  expect(Math.max(...sent.map(({ text }) => text.length))).toBeLessThan(16 * 1024);
});

test.each([
  ['a setting', 'SET search_path = x'],
  ['a setting', "BEGIN; SET SESSION work_mem TO '1MB'"],
  ['a setting by function', "SELECT set_config('a.b', 'c', false)"],
  ['a temporary table', 'CREATE TEMP TABLE x AS SELECT 1'],
  ['an advisory lock', 'SELECT pg_try_advisory_lock(1)'],
  ['a prepared statement', 'PREPARE x AS SELECT 1'],
  ['a cursor', 'DECLARE c CURSOR FOR SELECT 1'],
  ['what was listened for', 'LISTEN x'],
  ['a reset', 'RESET ALL'],
])('%s would be seen: %s', (what, text) => {
  expect(lasting[what]!.test(text)).toBe(true);
});
