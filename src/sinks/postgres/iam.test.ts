import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { generate } from 'selfsigned';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { sluice } from '../../../test/integration/sluice.js';
import { startSandbox } from '../../../test/lambda/lambda.js';
import { type IamFront, iamKeys, startIamFront } from '../../../test/servers/iam-front.js';
import { type ScratchServer, startPostgres } from '../../hosts/cli/demo/postgres-server.js';
import { parseAddress } from './address.js';
import { iamTokens, regionOf } from './iam.js';
import { createPool } from './pool.js';

const never = new AbortController().signal;
const keys = {
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: iamKeys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: iamKeys.secretAccessKey,
};

describe('tokens of IAM', () => {
  let server: ScratchServer;
  let front: IamFront;
  let folder: string;
  let rootcert: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-iam-'));
    server = await startPostgres();
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query(`COPY (SELECT 'host all all all trust') TO PROGRAM 'cat > pg_hba.conf'`);
    await admin.query('CREATE ROLE loader LOGIN SUPERUSER');
    await admin.query('SELECT pg_reload_conf()');
    await admin.end();
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
      ],
    });
    rootcert = join(folder, 'root.crt');
    await writeFile(rootcert, cert);
    front = await startIamFront(server.url, { cert, key }, 'eu-central-1');
  });
  beforeEach(() => {
    for (const [name, value] of Object.entries(keys)) vi.stubEnv(name, value);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    front.refuse = false;
  });
  afterAll(async () => {
    await front[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const url = (query = '', user = 'loader') => `postgres://${user}@localhost:${front.port}/postgres${query}`;
  const address = (query = '', user?: string) => parseAddress(url(query, user), { env: {}, iam: true });

  test('let connections in, over TLS alone, one token for all that are made within a minute', async () => {
    const before = front.tokens.length;
    await using pool = createPool(address(`?sslmode=verify-full&sslrootcert=${rootcert}`));
    const leases = await Promise.all(Array.from({ length: 8 }, () => pool.acquire(never)));
    const { rows } = await leases[0]!.client.query('SELECT current_user AS who');
    expect(rows).toEqual([{ who: 'loader' }]);
    const seen = front.tokens.slice(before);
    expect(seen).toHaveLength(8);
    expect(seen.map(({ wrong }) => wrong)).toEqual(Array(8).fill(undefined));
    expect(new Set(seen.map(({ text }) => text)).size).toBe(1);
    expect(front.plain).toBe(0);
  });

  test('are made anew after a minute, and once one was not taken', async () => {
    let now = 0;
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const tokens = iamTokens(address(), () => now);
      const first = await tokens.get();
      vi.setSystemTime(Date.now() + 59_000);
      now = 59_000;
      expect(await tokens.get()).toBe(first);
      vi.setSystemTime(Date.now() + 2_000);
      now = 61_000;
      const second = await tokens.get();
      expect(second).not.toBe(first);
      vi.setSystemTime(Date.now() + 1_000);
      tokens.forget();
      expect(await tokens.get()).not.toBe(second);
    } finally {
      vi.useRealTimers();
    }
  });

  test('that the server does not take are told with what to check, and are not repeated', async () => {
    front.refuse = true;
    await using pool = createPool(address());
    const before = front.tokens.length;
    await expect(pool.acquire(never)).rejects.toMatchObject({ code: '28000' });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await expect(pool.acquire(never)).rejects.toMatchObject({ code: '28000' });
    const [first, second] = front.tokens.slice(before);
    expect(first!.text).not.toBe(second!.text);
  });

  test('of other keys, or another region, are not taken by the server', async () => {
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'another');
    await using one = createPool(address());
    await expect(one.acquire(never)).rejects.toMatchObject({ code: '28000' });
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', iamKeys.secretAccessKey);
    vi.stubEnv('AWS_REGION', 'us-east-1');
    await using other = createPool(address());
    await expect(other.acquire(never)).rejects.toMatchObject({ code: '28000' });
    expect(front.tokens.slice(-2).map(({ wrong }) => wrong)).toEqual([
      'the signature is wrong',
      expect.stringContaining('us-east-1'),
    ]);
  });

  test('take a load through the command, whose log and output have none of them', async () => {
    const input = 'id,name\n1,a\n2,b\n';
    const env = { ...keys, PGSSLROOTCERT: rootcert, SLUICE_LOG: 'debug', SLUICE_DEBUG: '1', PGPASSWORD: 'not this' };
    const flags = ['--format', 'csv', '--table', 'things', '--create', '--iam', '--json', '--workers', '2'];
    const done = await sluice(['load', '-', url(), ...flags, '--run-dir', 'run'], { cwd: folder, env, input });
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('"written":2') });
    const listed = await sluice(['runs', url(), '--iam'], { cwd: folder, env });
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining('complete') });
    const shown = await sluice(['runs', 'show', 'run'], { cwd: folder, env });
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    front.refuse = true;
    const refused = await sluice(['load', '-', url(), ...flags, '--run-dir', 'refused'], { cwd: folder, env, input });
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining('rds_iam') });
    const said = [done, listed, shown, refused].flatMap(({ stdout, stderr }) => [stdout, stderr]).join('\n');
    expect(said).not.toMatch(/X-Amz-|Action=connect/);
    for (const file of ['job.json', 'report.json', 'log.ndjson']) {
      expect(await readFile(join(folder, 'run', file), 'utf8')).not.toMatch(/X-Amz-|Action=connect/);
    }
  });

  test('take a load through AWS Lambda', async () => {
    await writeFile(join(folder, 'in.csv'), 'id,name\n3,c\n');
    const JOB = JSON.stringify({
      source: { file: { path: join(folder, 'in.csv') } },
      sink: { postgres: { url: url(), iam: true, table: 'elsewhere', create: true } },
    });
    await using sandbox = await startSandbox({ JOB, PGSSLROOTCERT: rootcert, ...keys, SLUICE_LOG: 'debug' });
    const done = await sandbox.invoke({});
    expect(done).toMatchObject({ kind: 'answer', value: { status: 'complete', report: { written: 1 } } });
    // Who was let in stays so for a while: the server ends what was kept, so that the next has to log in.
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'loader'`);
    await admin.end();
    front.refuse = true;
    const refused = await sandbox.invoke({});
    expect(refused).toMatchObject({ kind: 'error', type: 'access-refused' });
    expect(JSON.stringify([done, refused, sandbox.log])).not.toMatch(/X-Amz-|Action=connect/);
  });

  test('can not be made without credentials or a region, which is told', async () => {
    for (const [name, value] of Object.entries({ AWS_EC2_METADATA_DISABLED: 'true', HOME: folder }))
      vi.stubEnv(name, value);
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    await using one = createPool(address());
    await expect(one.acquire(never)).rejects.toMatchObject({ code: 'no-credentials' });
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'id');
    vi.stubEnv('AWS_REGION', undefined);
    await using other = createPool(address());
    await expect(other.acquire(never)).rejects.toMatchObject({ code: 'no-region' });
  });
});

test.each([
  ['shop.cluster-c1a2b3.eu-central-1.rds.amazonaws.com', 'eu-central-1'],
  ['shop.proxy-c1a2b3.us-gov-west-1.rds.amazonaws.com', 'us-gov-west-1'],
  ['shop.c1a2b3.cn-north-1.rds.amazonaws.com.cn', 'cn-north-1'],
  ['db.example.com', undefined],
])('the region of %s is %s', (host, region) => {
  expect(regionOf(host)).toBe(region);
});

test.each(['disable', 'allow', 'prefer'])(
  'sslmode=%s is refused, for it might send a token in the clear',
  (sslmode) => {
    expect(() => parseAddress(`postgres://u@h/d?sslmode=${sslmode}`, { env: {}, iam: true })).toThrow(
      expect.objectContaining({ code: 'bad-sslmode' }),
    );
  },
);

test('TLS is demanded where nothing is said, and the certificate checked where there is a root', () => {
  const modeOf = (query: string) => parseAddress(`postgres://u@h/d${query}`, { env: {}, iam: true }).sslmode;
  expect([modeOf(''), modeOf('?sslrootcert=/rds.pem'), modeOf('?sslrootcert=system')]).toEqual([
    'require',
    'verify-full',
    'verify-full',
  ]);
});

test('a password beside the token is refused, one of the environment is passed over', () => {
  const url = 'postgres://u:secret@h/d';
  expect(() => parseAddress(url, { env: {}, iam: true })).toThrow(expect.objectContaining({ code: 'bad-url' }));
  expect(parseAddress('postgres://u@h/d', { env: { PGPASSWORD: 'x' }, iam: true }).password).toBeUndefined();
});
