import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, inject, test } from 'vitest';
import { type ScratchDatabase, scratchDatabase } from '../../../test/servers/database.js';
import type { Context, Reject, Span } from '../../contract/index.js';
import { parseJson } from '../../formats/json.js';
import { readSession } from './catalog.js';
import { classify } from './errors.js';
import { beginRun, endRun, inspectLedger, ledgerStatements, makeLedger } from './ledger.js';
import type { Statement } from './target.js';

const silent = { debug() {}, info() {}, warn() {} };

function contextOf(epoch = 1, run = 'r1'): Context {
  return { run, job: 'job', epoch, signal: new AbortController().signal, log: silent };
}

function span(from: number, rows = 10, split = 's'): Span {
  return { split, from, rows, next: { row: from + rows, token: { offset: from + rows } } };
}

async function execute(client: pg.Client, statements: readonly Statement[]): Promise<void> {
  for (const { text, values } of statements) await client.query(text, [...values]);
}

/** One batch's transaction, without the batch. */
async function settle(client: pg.Client, context: Context, spans: readonly Span[], rejects: readonly Reject[] = []) {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  try {
    await execute(client, ledgerStatements.fence(context));
    await execute(client, [ledgerStatements.settle(spans, rejects, context)]);
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
  await makeLedger(db.client, await readSession(db.client));
  return db;
}

describe.each(inject('postgresServers'))('the ledger on $name', ({ url }) => {
  test('is made once by however many come at once, and found by those who come later', async () => {
    await using db = await scratchDatabase(url);
    const session = await readSession(db.client);
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
    const session = await readSession(db.client);
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
      const session = await readSession(client);
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
      await beginRun(client, contextOf(), 'sink', 'me');
      await settle(client, contextOf(), [span(0)]);
      await endRun(client, 'complete', contextOf());
      await db.client.query(`REVOKE ALL ON sluice.span FROM ${role}`);
      expect(await sqlOf()).toMatch(/^GRANT/);
    } finally {
      await db.client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  test('keeps a run from its beginning to its end', async () => {
    await using db = await withLedger(url);
    const context = contextOf();
    await beginRun(db.client, context, 'postgres://h/db "t" append', 'host 1');
    const running = (await db.client.query('SELECT * FROM sluice.run')).rows[0];
    expect(running).toMatchObject({
      run: 'r1',
      job: 'job',
      epoch: 1,
      status: 'running',
      finished: null,
      holder: 'host 1',
    });
    await settle(
      db.client,
      context,
      [span(0), span(10), span(0, 3, 'other')],
      [{ split: 's', row: 4, code: '22P02', column: 'n', reason: 'not a number', record: { n: 'x' } }],
    );
    await endRun(db.client, 'complete-with-rejects', context);
    const ended = (await db.client.query('SELECT * FROM sluice.run')).rows[0];
    expect(ended).toMatchObject({ status: 'complete-with-rejects', figures: { spans: 3, rows: 23, rejected: 1 } });
    expect(ended.finished).toBeInstanceOf(Date);
    const { rows } = await db.client.query(
      'SELECT split, from_row, rows, next FROM sluice.span ORDER BY split, from_row',
    );
    expect(rows).toEqual([
      { split: 'other', from_row: '0', rows: '3', next: { row: 3, token: { offset: 3 } } },
      { split: 's', from_row: '0', rows: '10', next: { row: 10, token: { offset: 10 } } },
      { split: 's', from_row: '10', rows: '10', next: { row: 20, token: { offset: 20 } } },
    ]);
  });

  test('keeps any record and token to the letter', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, contextOf(), 'sink', 'me');
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
    await beginRun(db.client, contextOf(), 'sink', 'me');
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

  test('refuses a range that is settled already, as no row’s fault', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, contextOf(), 'sink', 'me');
    await settle(db.client, contextOf(), [span(0)]);
    const error = await settle(db.client, contextOf(), [span(0)]).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: '23505', schema: 'sluice' });
    expect(classify(error)).toBe('fatal');
  });

  test('lets batches of one run commit side by side', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, contextOf(), 'sink', 'me');
    await using other = await connect(db.url);
    await db.client.query('BEGIN');
    await execute(db.client, ledgerStatements.fence(contextOf()));
    await execute(db.client, [ledgerStatements.settle([span(0)], [], contextOf())]);
    await settle(other, contextOf(), [span(10)]);
    await db.client.query('COMMIT');
    expect((await db.client.query('SELECT FROM sluice.span')).rowCount).toBe(2);
  });

  test('fences a batch of an older epoch, and one whose transaction would not look again', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, contextOf(1), 'sink', 'old');
    await settle(db.client, contextOf(1), [span(0)]);
    await beginRun(db.client, contextOf(2), 'sink', 'new');
    await settle(db.client, contextOf(2), [span(10)]);
    for (const stale of [contextOf(1), contextOf(3), contextOf(2, 'unknown')]) {
      const error = await settle(db.client, stale, [span(20)]).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'SL001' });
      expect(classify(error)).toBe('fatal');
    }
    await expect(beginRun(db.client, contextOf(2), 'sink', 'third')).rejects.toMatchObject({ code: 'run-taken' });
    await expect(endRun(db.client, 'complete', contextOf(1))).rejects.toMatchObject({ code: 'SL001' });
    await db.client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await expect(execute(db.client, ledgerStatements.fence(contextOf(2)))).rejects.toMatchObject({ code: 'SL001' });
    await db.client.query('ROLLBACK');
  });

  test('a take-over waits for the former holder’s last batch, and then sees it; the next one is fenced', async () => {
    await using db = await withLedger(url);
    await beginRun(db.client, contextOf(1), 'sink', 'old');
    await using zombie = await connect(db.url);
    await using late = await connect(db.url);
    await zombie.query('BEGIN');
    await execute(zombie, ledgerStatements.fence(contextOf(1)));
    await execute(zombie, [ledgerStatements.settle([span(0)], [], contextOf(1))]);
    let taken = false;
    const takeover = beginRun(db.client, contextOf(2), 'sink', 'new').then(() => {
      taken = true;
    });
    await sleep(100);
    // Queued behind the take-over: when the fence has waited, it must see the raised epoch.
    const fencedLate = settle(late, contextOf(1), [span(10)]).catch((reason: unknown) => reason);
    await sleep(100);
    expect(taken).toBe(false);
    await zombie.query('COMMIT');
    await takeover;
    expect(await fencedLate).toMatchObject({ code: 'SL001' });
    const { rows } = await db.client.query('SELECT from_row FROM sluice.span');
    expect(rows).toEqual([{ from_row: '0' }]);
  });
});
