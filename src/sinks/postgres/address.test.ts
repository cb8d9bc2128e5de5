import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../errors.js';
import { describeServer, parseAddress, type Surroundings } from './address.js';

const bare: Surroundings = { env: { PGUSER: 'me' }, exists: () => false };

function failure(url: string, surroundings = bare): SluiceError {
  try {
    parseAddress(url, surroundings);
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('parseAddress', () => {
  test('reads every part of a URI', () => {
    const url =
      'postgresql://ann:s%40cret@db.example:6432/shop?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem&channel_binding=disable&options=-c%20x%3Dy&application_name=night%20load&connect_timeout=3';
    expect(parseAddress(url, bare)).toEqual({
      host: 'db.example',
      port: 6432,
      user: 'ann',
      password: 's@cret',
      iam: false,
      database: 'shop',
      sslmode: 'verify-full',
      sslrootcert: '/ca.pem',
      sslcert: '/c.pem',
      sslkey: '/k.pem',
      channelBinding: false,
      options: '-c x=y',
      applicationName: 'night load',
      connectTimeout: 3000,
    });
  });

  test('takes what the URI leaves out from the environment, and the URI first', () => {
    const env = {
      PGHOST: 'envhost',
      PGPORT: '5433',
      PGUSER: 'envuser',
      PGPASSWORD: 'envpass',
      PGDATABASE: 'envdb',
      PGSSLMODE: 'require',
      PGSSLROOTCERT: '/r',
      PGSSLCERT: '/c',
      PGSSLKEY: '/k',
      PGAPPNAME: 'app',
      PGCONNECT_TIMEOUT: '7',
    };
    expect(parseAddress(undefined, { env, exists: () => true })).toEqual({
      host: 'envhost',
      port: 5433,
      user: 'envuser',
      password: 'envpass',
      iam: false,
      database: 'envdb',
      sslmode: 'require',
      sslrootcert: '/r',
      sslcert: '/c',
      sslkey: '/k',
      channelBinding: true,
      options: undefined,
      applicationName: 'app',
      connectTimeout: 7000,
    });
    expect(parseAddress('postgres://u:p@h:1/d?sslmode=disable', { env })).toMatchObject({
      host: 'h',
      port: 1,
      user: 'u',
      password: 'p',
      database: 'd',
      sslmode: 'disable',
    });
  });

  test('falls back on what libpq falls back on', () => {
    expect(parseAddress('postgres://', bare)).toMatchObject({
      host: 'localhost',
      port: 5432,
      user: 'me',
      database: 'me',
      password: undefined,
      sslmode: 'prefer',
      applicationName: 'sluice',
      connectTimeout: 10_000,
    });
    expect(parseAddress('postgres:///db', { env: {}, exists: () => false }).user).not.toBe('');
  });

  test('prefers the local Unix socket to localhost where there is one', () => {
    const exists = (path: string) => path === '/tmp/.s.PGSQL.5433';
    expect(parseAddress('postgres://:5433/db', { env: { PGUSER: 'me' }, exists }).host).toBe('/tmp');
    expect(parseAddress('postgres:///db', { env: { PGUSER: 'me' }, exists }).host).toBe('localhost');
  });

  test.each([
    ['postgres://u@[::1]:5432/db', '::1', 'postgres://[::1]:5432/db'],
    ['postgres://u@%2Fvar%2Frun%2Fpg/db', '/var/run/pg', 'postgres://%2Fvar%2Frun%2Fpg:5432/db'],
    ['postgres:///db?host=/var/run/pg', '/var/run/pg', 'postgres://%2Fvar%2Frun%2Fpg:5432/db'],
    ['postgres://u:p@/db?host=/var/run/pg', '/var/run/pg', 'postgres://%2Fvar%2Frun%2Fpg:5432/db'],
    ['postgres://u:a@b:c@h/db', 'h', 'postgres://h:5432/db'],
    ['postgres://u:secret@127.0.0.1/my%20db', '127.0.0.1', 'postgres://127.0.0.1:5432/my%20db'],
  ])('%s leads to host %s', (url, host, described) => {
    const address = parseAddress(url, bare);
    expect(address.host).toBe(host);
    expect(describeServer(address)).toBe(described);
  });

  test('takes system as root certificate only together with verify-full, as libpq does', () => {
    expect(parseAddress('postgres://h/d?sslrootcert=system', bare).sslmode).toBe('verify-full');
    expect(failure('postgres://h/d?sslrootcert=system&sslmode=require').message).toContain('verify-full');
  });

  test.each([
    ['mysql://u:hunter2@h/d'],
    ['postgres://u:hunter2#x@h/d'],
    ['postgres://u:12/hunter2@h/d'],
    ['postgres://u:12?hunter2@h/d'],
    ['postgres://u:12?hunter2=3@h/d'],
    ['postgres://u:12/hunter2#@h/d'],
    ['postgres://u:hunter2%zz@h/d'],
    ['postgres://u:hunter2@h:99999/d'],
    ['postgres://u:hunter2@h:port/d'],
    ['postgres://u:hunter2@h1,h2/d'],
    ['postgres://u:p@h/d?password=hunter2'],
    ['postgres://u:hunter2@h/d?sslmode=maybe'],
    ['postgres://u:hunter2@h/d?connect_timeout=soon'],
  ])('%s is refused without a word of its password', (url) => {
    const error = failure(url);
    expect(error.name).toBe('ConfigError');
    expect(`${error.message} ${error.stack} ${JSON.stringify(error.cause)}`).not.toContain('hunter2');
  });

  test('names a query parameter it does not know, and those it does', () => {
    expect(failure('postgres://h/d?gssencmode=require').message).toMatch(/"gssencmode".*sslmode/);
  });

  test('gives back any user, password and database that were percent-encoded', () => {
    const text = fc.string({ minLength: 1, unit: 'binary' }).filter((s) => !s.includes('\0'));
    fc.assert(
      fc.property(text, text, text, (user, password, database) => {
        const [u, p, d] = [user, password, database].map(encodeURIComponent);
        expect(parseAddress(`postgres://${u}:${p}@h/${d}`, bare)).toMatchObject({ user, password, database });
      }),
    );
  });
});
