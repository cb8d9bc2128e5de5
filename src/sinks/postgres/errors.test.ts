import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { ConfigError, InDoubt, NotWritten, SinkError, SluiceError } from '../../errors.js';
import { parseAddress } from './address.js';
import { asConnectionLost, classify, explainConnect, explainRefusal } from './errors.js';

function database(code: string, more: Partial<pg.DatabaseError> = {}): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('words that nobody reads', 0, 'error'), { code, ...more });
}

function system(code: string): Error {
  return Object.assign(new Error('words that nobody reads'), { code });
}

describe('classify', () => {
  test.each([
    ['08000', 'retry'],
    ['08006', 'retry'],
    ['08P01', 'retry'],
    ['57P01', 'retry'],
    ['57P02', 'retry'],
    ['57P03', 'retry'],
    ['40001', 'retry'],
    ['40P01', 'retry'],
    ['55P03', 'retry'],
    ['55006', 'retry'],
    ['25006', 'retry'],
    ['53100', 'retry'],
    ['58030', 'retry'],
    ['53000', 'throttled'],
    ['53200', 'throttled'],
    ['53300', 'throttled'],
    ['53400', 'throttled'],
    ['57014', 'throttled'],
    ['22P02', 'divide'],
    ['22001', 'divide'],
    ['22021', 'divide'],
    ['22P04', 'divide'],
    ['23502', 'divide'],
    ['23503', 'divide'],
    ['23505', 'divide'],
    ['23514', 'divide'],
    ['23P01', 'divide'],
    ['21000', 'divide'],
    ['44000', 'divide'],
    ['40002', 'divide'],
    ['54000', 'divide'],
    ['P0001', 'divide'],
    ['P0002', 'divide'],
    ['U0042', 'divide'],
    ['ABCDE', 'divide'],
    ['28000', 'fatal'],
    ['28P01', 'fatal'],
    ['3D000', 'fatal'],
    ['3F000', 'fatal'],
    ['42501', 'fatal'],
    ['42P01', 'fatal'],
    ['42703', 'fatal'],
    ['42P10', 'fatal'],
    ['428C9', 'fatal'],
    ['42804', 'fatal'],
    ['0A000', 'fatal'],
    ['25P02', 'fatal'],
    ['57P04', 'fatal'],
    ['XX000', 'fatal'],
    ['XX001', 'fatal'],
    ['SL001', 'fatal'],
  ])('SQLSTATE %s means %s', (code, verdict) => {
    expect(classify(database(code))).toBe(verdict);
    expect(classify(new NotWritten('not-written', 'nothing landed', { cause: database(code) }))).toBe(verdict);
  });

  test.each([
    ['ECONNRESET', 'retry'],
    ['ECONNREFUSED', 'retry'],
    ['EPIPE', 'retry'],
    ['ETIMEDOUT', 'throttled'],
    ['ENOTFOUND', 'retry'],
    ['EAI_AGAIN', 'retry'],
    ['EMFILE', 'throttled'],
    ['EACCES', 'fatal'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'fatal'],
  ])('system code %s means %s', (code, verdict) => {
    expect(classify(system(code))).toBe(verdict);
    expect(classify(new NotWritten('not-written', 'nothing landed', { cause: system(code) }))).toBe(verdict);
  });

  test('never lets a batch be written again that may be there', () => {
    for (const cause of [system('ECONNREFUSED'), database('57P03')])
      expect(classify(new InDoubt('in-doubt', 'lost during COMMIT', { cause }))).toBe('fatal');
  });

  test('reads a SQLSTATE on a wrapper that has no cause', () => {
    expect(classify(new NotWritten('22P02', 'row 4'))).toBe('divide');
    expect(classify(new NotWritten('40P01', 'deadlock'))).toBe('retry');
  });

  test('takes a refusal by row-level security for a fault of the row, a missing privilege for a fault of ours', () => {
    expect(classify(database('42501', { routine: 'ExecWithCheckOptions' }))).toBe('divide');
    expect(classify(database('42501', { routine: 'aclcheck_error' }))).toBe('fatal');
  });

  test('never blames a row for a rule of the ledger', () => {
    expect(classify(database('23505', { schema: 'sluice', table: 'span' }))).toBe('fatal');
  });

  test('is fatal where no code says anything, whatever the words', () => {
    expect(classify(new Error('connection reset ECONNRESET 40P01'))).toBe('fatal');
    expect(classify(new ConfigError('bad-certificate', 'no file', { cause: system('ENOENT') }))).toBe('fatal');
    expect(classify('40P01')).toBe('fatal');
    expect(classify(undefined)).toBe('fatal');
    const ring: Error & { cause?: unknown } = new Error('round and round');
    ring.cause = ring;
    expect(classify(ring)).toBe('fatal');
  });
});

test('an error without a code becomes connection-lost only when the connection is', () => {
  const bare = new Error('whatever pg says');
  expect(asConnectionLost(bare, undefined)).toBe(bare);
  expect(classify(asConnectionLost(bare, bare))).toBe('retry');
  const told = database('57P01');
  expect(asConnectionLost(told, bare)).toBe(told);
});

test('explains a failed connection without ever saying the password', () => {
  const address = parseAddress('postgres://ann:hunter2@db.example:5433/shop');
  for (const code of ['28P01', '28000', '3D000', 'ENOTFOUND', 'ECONNREFUSED', 'CERT_HAS_EXPIRED', 'EWHATEVER']) {
    const error = explainConnect(system(code), address);
    expect(error).toBeInstanceOf(SinkError);
    expect(error.message).toMatch(/postgres:\/\/db\.example:5433\/shop.*"ann"/);
    expect(error.message).not.toContain('hunter2');
  }
  expect(explainConnect(database('08P01', { message: 'no such user: ann' }), address).message).toContain(
    'no such user',
  );
  const own = new SluiceError('connect-timeout', 'did not answer');
  expect(explainConnect(own, address).code).toBe('connect-timeout');
});

test('a server that takes no writes is named, with the remedy', () => {
  const told = explainRefusal(database('25006'), parseAddress('postgres://reader/db'));
  expect(told.message).toContain('takes no writes');
});
