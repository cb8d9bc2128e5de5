import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { keeping } from '../../../test/sinks/postgres/keeping-process.js';
import { type ScratchServer, startPostgres } from '../../hosts/cli/demo/postgres-server.js';
import { parseAddress } from './address.js';
import { explainConnect } from './errors.js';
import { createPool } from './pool.js';

const never = new AbortController().signal;
let server: ScratchServer;
let admin: pg.Client;
let directory: string;

/**
 * The server writes its own certificate, key and pg_hba.conf: so they belong to its user, whoever that is.
 * Users encrypted_only and plain_only are what their names say, certified must show a certificate.
 */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-tls-'));
  // Else the certificates of whoever runs the tests would take part.
  vi.stubEnv('HOME', directory);
  server = await startPostgres();
  admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  const [own, other] = [await authority('ours'), await authority('others')];
  const ca = { key: own.private, cert: own.cert };
  const leaf = await generate([{ name: 'commonName', value: 'localhost' }], {
    ca,
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  });
  const client = await generate([{ name: 'commonName', value: 'certified' }], { ca });
  const local = {
    'own.crt': own.cert,
    'other.crt': other.cert,
    'client.crt': client.cert,
    'client.key': client.private,
  };
  for (const [name, text] of Object.entries(local)) await writeFile(join(directory, name), text, { mode: 0o600 });
  await onServer('server.crt', leaf.cert);
  await onServer('server.key', leaf.private);
  await onServer('root.crt', own.cert);
  const hba = [
    'hostssl   all encrypted_only all trust',
    'hostnossl all plain_only     all trust',
    'hostssl   all certified      all cert',
    'host      all postgres       all trust',
  ];
  await onServer('pg_hba.conf', `${hba.join('\n')}\n`);
  for (const role of ['encrypted_only', 'plain_only', 'certified']) await admin.query(`CREATE ROLE ${role} LOGIN`);
  await admin.query(`ALTER SYSTEM SET ssl_ca_file = 'root.crt'`);
  await admin.query('ALTER SYSTEM SET ssl = on');
  await admin.query('SELECT pg_reload_conf()');
  // Reloading is done when the server first answers S.
  await vi.waitFor(async () => expect(await connectedBy('postgres', 'sslmode=require')).toBe(true));
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await admin.end();
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function authority(name: string) {
  return generate([{ name: 'commonName', value: name }], {
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
}

/** By a shell command of the server's, run in its data directory. */
async function onServer(name: string, text: string): Promise<void> {
  const lines = `unnest(string_to_array(${pg.escapeLiteral(text)}, E'\n')) WITH ORDINALITY AS lines (line, n)`;
  await admin.query(`COPY (SELECT line FROM ${lines} ORDER BY n) TO PROGRAM 'umask 077; cat > ${name}'`);
}

/** Whether the connection made was encrypted, or the code of what hindered it. */
async function connectedBy(user: string, query: string, host = 'localhost', url = server.url): Promise<unknown> {
  const { port } = new URL(url);
  const address = parseAddress(`postgres://${user}@${host}:${port}/postgres?${query}`, { env: {} });
  await using pool = createPool(address);
  try {
    const { client } = await pool.acquire(never);
    const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    const again = await pool.acquire(never);
    const { rows: second } = await again.client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    expect(second).toEqual(rows);
    return rows[0].ssl;
  } catch (error) {
    return explainConnect(error, address).code;
  }
}

const file = (name: string) => join(directory, name);

test('an encrypted connection is kept for the next load, and holds no process', async () => {
  const { port } = new URL(server.url);
  const url = `postgres://postgres@localhost:${port}/postgres?sslmode=require`;
  expect(await keeping(url)).toEqual({ same: true, kept: 1 });
});

describe('sslmode', () => {
  test.each([
    // disable never, allow when it must, prefer when it can, require always.
    ['postgres', 'disable', false],
    ['postgres', 'allow', false],
    ['postgres', 'prefer', true],
    ['postgres', 'require', true],
    ['encrypted_only', 'disable', 'access-refused'],
    ['encrypted_only', 'allow', true],
    ['encrypted_only', 'prefer', true],
    ['encrypted_only', 'require', true],
    ['plain_only', 'disable', false],
    ['plain_only', 'allow', false],
    ['plain_only', 'prefer', false],
    ['plain_only', 'require', 'access-refused'],
  ])('user %s with %s: %s', async (user, sslmode, expected) => {
    expect(await connectedBy(user, `sslmode=${sslmode}`)).toBe(expected);
  });

  test('require checks who signed the certificate once a root certificate is given', async () => {
    expect(await connectedBy('postgres', `sslmode=require&sslrootcert=${file('own.crt')}`)).toBe(true);
    expect(await connectedBy('postgres', `sslmode=require&sslrootcert=${file('other.crt')}`)).toBe(
      'untrusted-certificate',
    );
  });

  test('verify-ca checks who signed it, verify-full also whose name it bears', async () => {
    const own = `sslrootcert=${file('own.crt')}`;
    expect(await connectedBy('postgres', `sslmode=verify-ca&${own}`, '127.0.0.1')).toBe(true);
    expect(await connectedBy('postgres', `sslmode=verify-full&${own}`)).toBe(true);
    expect(await connectedBy('postgres', `sslmode=verify-full&${own}`, '127.0.0.1')).toBe('untrusted-certificate');
    const other = `sslrootcert=${file('other.crt')}`;
    expect(await connectedBy('postgres', `sslmode=verify-ca&${other}`)).toBe('untrusted-certificate');
    expect(await connectedBy('postgres', 'sslrootcert=system')).toBe('untrusted-certificate');
  });

  test('says which file is missing or can’t be read', async () => {
    expect(await connectedBy('postgres', 'sslmode=verify-full')).toBe('no-root-certificate');
    expect(await connectedBy('postgres', `sslmode=require&sslrootcert=${file('gone.crt')}`)).toBe('bad-certificate');
  });

  test.each(['disable', 'require'])('with %s a statement under way can be cancelled', async (sslmode) => {
    const { port } = new URL(server.url);
    await using pool = createPool(parseAddress(`postgres://postgres@localhost:${port}/postgres?sslmode=${sslmode}`));
    const lease = await pool.acquire(never);
    const sleeping = lease.client.query('SELECT pg_sleep(20)').catch((error: unknown) => error);
    await vi.waitFor(async () => {
      const { rowCount } = await admin.query(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`);
      expect(rowCount).toBe(1);
    });
    await lease.cancel();
    expect(await sleeping).toMatchObject({ code: '57014' });
  });

  test('shows a client certificate where one is given', async () => {
    const pair = `sslcert=${file('client.crt')}&sslkey=${file('client.key')}`;
    expect(await connectedBy('certified', `sslmode=require&${pair}`)).toBe(true);
    expect(await connectedBy('certified', 'sslmode=require')).toBe('access-refused');
  });
});

test.each(inject('postgresServers'))(
  '$name is reached with TLS where it has it, and by prefer in any case',
  async ({ url }) => {
    await using preferring = createPool(parseAddress(`${url}?sslmode=prefer`));
    const { client } = await preferring.acquire(never);
    const { rows } = await client.query('SHOW ssl');
    await using demanding = createPool(parseAddress(`${url}?sslmode=require`));
    const demanded = await demanding.acquire(never).then(
      () => 'on',
      (error: unknown) => error,
    );
    if (rows[0].ssl === 'on') expect(demanded).toBe('on');
    else expect(demanded).toMatchObject({ name: 'SinkError', code: 'no-tls' });
  },
);
