import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, inject, test } from 'vitest';
import { ledgerConformance } from '../../../test/conformance/ledger.js';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import type { Checkpoint, Context, Reject, RunRequest, RunStatus, Span } from '../../contract/index.js';
import { parseJson } from '../../formats/json.js';
import type { Ask } from './ask.js';
import { readServerState } from './catalog.js';
import { classify } from './errors.js';
import { PostgresLedger } from './ledger.js';
import { inspectLedger, makeLedger } from './ledger-tables.js';
import { ledgerStatements } from './settle.js';
import type { Statement } from './target.js';

const silent = { debug() {}, info() {}, warn() {} };

function contextOf(epoch = 1, run = 'r1'): Context {
  return { run, job: 'job', epoch, signal: new AbortController().signal, log: silent };
}

function span(from: number, rows = 10, split = 's'): Span {
  return { split, from, rows, next: { row: from + rows, token: { offset: from + rows } } };
}

const ledgerOn = (client: pg.Client) => new PostgresLedger((_, work) => work(client));
const never = new AbortController().signal;

function requestOf(holder: string, change: Partial<RunRequest> = {}): RunRequest {
  const fixed = {
    run: 'r1',
    job: 'job',
    source: 'file:a.csv',
    sink: 'sink',
    columns: ['id'],
    fingerprints: { s: 'f1' },
  };
  return { ...fixed, resume: 'no', holder, mayBeAlive: () => false, ...change };
}

const beginRun = (client: pg.Client, holder: string, change: Partial<RunRequest> = {}): Promise<Checkpoint> =>
  ledgerOn(client).begin(requestOf(holder, change), never);

const endRun = (client: pg.Client, status: RunStatus, context: Context): Promise<void> =>
  ledgerOn(client).finish(status, context);

async function execute(client: pg.Client, statements: readonly Statement[]): Promise<void> {
  for (const { text, values } of statements) await client.query(text, [...values]);
}

/** One batch's transaction, without the batch. */
async function settle(client: pg.Client, context: Context, spans: readonly Span[], rejects: readonly Reject[] = []) {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  try {
    await execute(client, ledgerStatements.fence(context));
    await execute(client, ledgerStatements.settle(spans, rejects, context));
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

async function connect(url: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

async function withLedger(url: string): Promise<ScratchDatabase> {
  const db = await scratchDatabase(url);
  await makeLedger(db.client, await readServerState(db.client));
  return db;
}

describe.each(inject('postgresServers'))('the ledger on $name', ({ url }) => {
  test('a take-over that meets the former holder finishing finds the run complete', async () => {
    await using db = await withLedger(url);
    await using next = await connect(db.url);
    const first = await beginRun(db.client, 'first');
    await settle(db.client, contextOf(first.epoch), [span(0), span(10)]);
    await db.client.query("UPDATE sluice.run SET heartbeat = now() - interval '1 minute'");
    const query = next.query.bind(next);
    let finished = false;
    Object.assign(next, {
      query: async (text: string, values?: unknown[]) => {
        if (text.includes('sluice.lock_key') && !finished) {
          finished = true;
          await endRun(db.client, 'complete', contextOf(first.epoch));
        }
        return await query(text, values);
      },
    });
    const checkpoint = await beginRun(next, 'next', { resume: 'latest' });
    expect(checkpoint).toMatchObject({ run: 'r1', epoch: 2, ended: 'complete' });
    expect(checkpoint.spans).toEqual([{ ...span(0, 20), next: span(10).next }]);
  });

  test('a holder stopped in the middle of its beginning keeps nobody out for long', async () => {
    await using db = await withLedger(url);
    await using stopped = await connect(db.url);
    stopped.on('error', () => {});
    let begun = () => {};
    const inTheMiddle = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const query = stopped.query.bind(stopped);
    Object.assign(stopped, {
      query: (text: string, values?: unknown[]) => {
        if (text !== 'COMMIT') return query(text, values);
        begun();
        return new Promise(() => {});
      },
    });
    void beginRun(stopped, 'stopped');
    await inTheMiddle;
    const checkpoint = await beginRun(db.client, 'next', { run: 'r2' });
    expect(checkpoint).toMatchObject({ run: 'r2', resumed: false });
  });

  ledgerConformance({
    takenOver: 'SL001',
    async store() {
      const db = await scratchDatabase(url);
      const pool = new pg.Pool({ connectionString: db.url, max: 20 });
      // A take-over may end a connection.
      pool.on('error', () => {});
      pool.on('connect', (client) => client.on('error', () => {}));
      const ask: Ask = async (_, work) => {
        const client = await pool.connect();
        try {
          return await work(client);
        } finally {
          client.release();
        }
      };
      return {
        ledger: () => new PostgresLedger(ask),
        settle: (_, spans, rejects, context) => ask(never, (client) => settle(client, context, spans, rejects)),
        async silence() {
          await db.client.query("UPDATE sluice.run SET heartbeat = now() - interval '1 minute'");
        },
        async [Symbol.asyncDispose]() {
          await pool.end();
          await db[Symbol.asyncDispose]();
        },
      };
    },
  });

  test('is made once by however many come at once, and found by those who come later', async () => {
    await using db = await scratchDatabase(url);
    const session = await readServerState(db.client);
    expect(await inspectLedger(db.client, session)).toBe('missing');
    const others = await Promise.all(Array.from({ length: 6 }, () => connect(db.url)));
    await Promise.all(others.map((client) => makeLedger(client, session)));
    expect(await inspectLedger(db.client, session)).toBe('ready');
    const { rows } = await db.client.query('SELECT version FROM sluice.meta');
    expect(rows).toEqual([{ version: 1 }]);
    for (const client of others) await client.end();
  });

  test('of another version is left alone', async () => {
    await using db = await withLedger(url);
    await db.client.query('UPDATE sluice.meta SET version = 99');
    const session = await readServerState(db.client);
    await expect(makeLedger(db.client, session)).rejects.toMatchObject({
      code: 'ledger-version',
      message: expect.stringContaining('99'),
    });
  });

  test('tells a user who may not make it the SQL that lets him, which does', async () => {
    await using db = await scratchDatabase(url);
    const role = `sluice_${randomBytes(6).toString('hex')}`;
    await db.client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    const address = Object.assign(new URL(db.url), { username: role, password: 'secret' });
    try {
      await using client = await connect(address.href);
      const session = await readServerState(client);
      const sqlOf = async () => {
        const error = await makeLedger(client, session).catch((reason: unknown) => reason);
        expect(error).toMatchObject({ name: 'SinkError', code: 'ledger-forbidden' });
        return (error as Error).message.split('\n').slice(1).join('\n');
      };
      const sql = await sqlOf();
      await db.client.query('CREATE SCHEMA sluice');
      expect(await sqlOf()).toBe(sql.replace('CREATE SCHEMA sluice;\n', ''));
      await db.client.query('DROP SCHEMA sluice');
      await db.client.query(sql);
      await makeLedger(client, session);
      await beginRun(client, 'me');
      await settle(client, contextOf(), [span(0)]);
      await endRun(client, 'complete', contextOf());
      await db.client.query(`REVOKE ALL ON sluice.span FROM ${role}`);
      expect(await sqlOf()).toMatch(/^GRANT/);
    } finally {
      await db.client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  test('of a complete run keeps one row', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'me');
    await settle(db.client, contextOf(), [span(10), span(0), span(0, 3, 'other')]);
    await endRun(db.client, 'complete', contextOf());
    expect((await db.client.query('SELECT FROM sluice.span')).rowCount).toBe(0);
  });

  test('forgets the rejects of a run with it', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'me');
    await settle(db.client, contextOf(), [span(0)], [{ split: 's', row: 3, code: 'X', reason: 'no', record: 1 }]);
    await endRun(db.client, 'failed', contextOf());
    expect(await ledgerOn(db.client).prune(0, never)).toBe(1);
    for (const table of ['run', 'span', 'reject']) {
      expect((await db.client.query(`SELECT FROM sluice.${table}`)).rowCount).toBe(0);
    }
  });

  test('keeps any record and token to the letter', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'me');
    const text = fc.string({
      unit: fc.oneof(
        fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
        fc.constantFrom('\0', '\ud800', '\udc00', '\\', '"', ',', '{', '}', 'NULL', ' '),
      ),
    });
    const value = fc.oneof(
      text,
      fc.jsonValue({ stringUnit: 'binary' }),
      fc.record({ base64: text }),
      fc.dictionary(text, text),
    );
    let row = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, value), { maxLength: 4 }), value, async (records, token) => {
        const from = row;
        const rejects = records.map(([reason, record]) => ({ split: 's', row: row++, code: 'X', reason, record }));
        row++;
        const settled = { split: 's', from, rows: row - from, next: { row, token } };
        await settle(db.client, contextOf(), [settled], rejects);
        const kept = await db.client.query(
          `SELECT "row"::int AS row, reason, record::text, "column" FROM sluice.reject WHERE "row" >= $1 ORDER BY "row"`,
          [from],
        );
        expect(kept.rows.map((one) => ({ ...one, record: parseJson(one.record) }))).toEqual(
          rejects.map((reject) => ({
            row: reject.row,
            reason: reject.reason.replaceAll('\0', '␀').replace(/\p{Surrogate}/gu, '\ufffd'),
            record: JSON.parse(JSON.stringify(reject.record)),
            column: null,
          })),
        );
        const next = await db.client.query('SELECT next::text FROM sluice.span WHERE from_row = $1', [from]);
        expect(parseJson(next.rows[0].next)).toEqual(JSON.parse(JSON.stringify(settled.next)));
      }),
      { numRuns: 60 },
    );
  });

  test('keeps the digits of a record’s numbers, and records that are nothing', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'me');
    const record = parseJson('{"a":9007199254740993,"b":1.10,"c":1e400}');
    const reject = { split: 's', code: 'X', reason: 'no' };
    await settle(
      db.client,
      contextOf(),
      [span(0)],
      [
        { ...reject, row: 0, record },
        { ...reject, row: 1, record: undefined },
      ],
    );
    const { rows } = await db.client.query('SELECT record::text FROM sluice.reject ORDER BY "row"');
    expect(rows).toEqual([{ record: '{"a":9007199254740993,"b":1.10,"c":1e400}' }, { record: null }]);
  });

  test('takes splits whose names no index entry could hold, each range of them once', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'me');
    const name = Array.from({ length: 4000 }, (_, i) => `/page/${i}`).join('');
    const [one, two] = [`${name}1`, `${name}2`].map((split) => ({ ...span(0), split }));
    await settle(db.client, contextOf(), [one!, two!], [{ split: name, row: 0, code: 'x', reason: 'y', record: 1 }]);
    await expect(settle(db.client, contextOf(), [two!])).rejects.toMatchObject({ code: '23505' });
  });

  test('keeps a description of a record that has no JSON form', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'me');
    const record: Record<string, unknown> = { id: 1 };
    record.self = record;
    await settle(db.client, contextOf(), [span(0)], [{ split: 's', row: 0, code: 'x', reason: 'y', record }]);
    const kept = [];
    for await (const reject of ledgerOn(db.client).rejects('r1', never)) kept.push(reject.record);
    expect(kept).toEqual([expect.stringContaining('Circular')]);
  });

  test('refuses a range that is settled already, as no row’s fault', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'me');
    await settle(db.client, contextOf(), [span(0)]);
    const error = await settle(db.client, contextOf(), [span(0)]).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: '23505', schema: 'sluice' });
    expect(classify(error)).toBe('fatal');
  });

  test('lets batches of one run commit side by side', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'me');
    await using other = await connect(db.url);
    await db.client.query('BEGIN');
    await execute(db.client, ledgerStatements.fence(contextOf()));
    await execute(db.client, ledgerStatements.settle([span(0)], [], contextOf()));
    await settle(other, contextOf(), [span(10)]);
    await db.client.query('COMMIT');
    expect((await db.client.query('SELECT FROM sluice.span')).rowCount).toBe(2);
  });

  test('fences a batch of an older epoch, and one whose transaction would not look again', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'old');
    await settle(db.client, contextOf(1), [span(0)]);
    const { epoch } = await beginRun(db.client, 'new', { resume: 'latest' });
    expect(epoch).toBe(2);
    await settle(db.client, contextOf(2), [span(10)]);
    for (const stale of [contextOf(1), contextOf(3), contextOf(2, 'unknown')]) {
      const error = await settle(db.client, stale, [span(20)]).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'SL001' });
      expect(classify(error)).toBe('fatal');
    }
    await expect(endRun(db.client, 'complete', contextOf(1))).rejects.toMatchObject({ code: 'SL001' });
    await db.client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await expect(execute(db.client, ledgerStatements.fence(contextOf(2)))).rejects.toMatchObject({ code: 'SL001' });
    await db.client.query('ROLLBACK');
  });

  test('a take-over ends the former holder’s open batch, and fences the one that comes late', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, 'old');
    await settle(db.client, contextOf(1), [span(0)]);
    const zombie = new pg.Client({ connectionString: db.url });
    await zombie.connect();
    const ended = new Promise<Error>((resolve) => zombie.on('error', resolve));
    await using late = await connect(db.url);
    await zombie.query('BEGIN');
    await execute(zombie, ledgerStatements.fence(contextOf(1)));
    await execute(zombie, ledgerStatements.settle([span(10)], [], contextOf(1)));
    const checkpoint = await beginRun(db.client, 'new', { resume: 'latest' });
    expect(checkpoint).toMatchObject({ epoch: 2, spans: [span(0)] });
    await expect(zombie.query('COMMIT')).rejects.toThrow();
    expect(await ended).toBeInstanceOf(Error);
    await expect(settle(late, contextOf(1), [span(10)])).rejects.toMatchObject({ code: 'SL001' });
    expect((await db.client.query('SELECT from_row FROM sluice.span')).rows).toEqual([{ from_row: '0' }]);
  });
});
