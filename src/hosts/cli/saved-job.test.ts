// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkJobValue } from '../../job/file.js';
import { jobFromFlags, type LoadFlags } from '../../job/flags.js';
import { Redactor } from '../redact.js';
import { asWritten, type GivenAgain, lacksPassword, readSavedJob, restore, saveJob } from './saved-job.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-saved-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const secret = 'hunter2hunter2';

/** Keeps what flags describe, and takes it up again. */
async function throughFlags(source: string, sink: string, flags: LoadFlags, again: GivenAgain) {
  const job = await jobFromFlags(source, sink, flags);
  saveJob(folder, 'r1', { file: null, value: asWritten(job) }, () => true);
  const saved = readSavedJob(folder)!;
  const value = () => restore(saved, again, async () => expect.unreachable());
  return { job, saved, restored: async () => checkJobValue(await value(), 'job.json', {}) };
}

async function kept(): Promise<string> {
  return await readFile(join(folder, 'job.json'), 'utf8');
}

describe('a job that flags described', () => {
  test('comes back the same, whatever its texts look like', async () => {
    const flags = { table: '"T ${x} $${y}"', columns: 'id,a=["x.${y}"]', null: '$${', maxErrors: '1%', workers: '3' };
    const { job, saved, restored } = await throughFlags('in/${odd}/*.csv', 'postgres://ann@h/d', flags, {});
    expect(await restored()).toEqual(job);
    expect(saved).toMatchObject({ run: 'r1', file: null, withheld: [], directory: process.cwd() });
    expect(await readdir(folder)).toEqual(['job.json']);
  });

  test('comes back without the password of its sink, or with the address that is given', async () => {
    const sink = `postgres://ann:${secret}@h:5/d?sslmode=require`;
    const bare = await throughFlags('a.csv', sink, { table: 't' }, {});
    expect(await kept()).not.toContain(secret);
    expect((await bare.restored()).sink.options).toMatchObject({ url: 'postgres://ann@h:5/d?sslmode=require' });
    expect(lacksPassword(bare.saved, {})).toBe(true);
    const given = await throughFlags('a.csv', sink, { table: 't' }, { sink });
    expect(await given.restored()).toEqual(given.job);
    expect(lacksPassword(given.saved, { sink })).toBe(false);
  });

  test('the same for an Aerospike cluster, with what became of the ledger', async () => {
    const sink = `aerospike://ann:${secret}@h:3000,i:3000/test/users`;
    const flags = { key: 'id', bins: 'a,b:json', ttl: '60', ledger: false } as const;
    const bare = await throughFlags('a.csv', sink, flags, {});
    expect(await kept()).not.toContain(secret);
    expect((await bare.restored()).sink.options).toMatchObject({ url: 'aerospike://ann@h:3000,i:3000/test/users' });
    expect(lacksPassword(bare.saved, {})).toBe(true);
    const given = await throughFlags('a.csv', sink, flags, { sink });
    expect(await given.restored()).toEqual(given.job);
    expect(given.job.ledger).toBe(false);
  });

  test('asks for its headers and for an address with a secret by their flags', async () => {
    const source = `https://h/list?api_key=${secret}&a=1`;
    const flags = { table: 't', httpHeader: [`X-Thing: ${secret}`, 'Accept: text/json'] };
    const asked = await throughFlags(source, 'postgres://h/d', flags, {});
    expect(await kept()).not.toContain(secret);
    await expect(asked.restored()).rejects.toMatchObject({
      code: 'withheld',
      message: expect.stringContaining(
        "sluice resume again, by --source URL --header 'X-Thing: ...' --header 'Accept: ...'",
      ),
    });
    const headers = { 'x-thing': secret, accept: 'text/json' };
    const given = await throughFlags(source, 'postgres://h/d', flags, { source, headers });
    expect(await given.restored()).toEqual(given.job);
  });

  test.each([`https://u:${secret}@h/list`, `https://h/list?key=${secret}`, `https://h/list?x=1&sig=${secret}`])(
    'does not keep %s',
    async (source) => {
      const { restored } = await throughFlags(source, 'postgres://h/d', { table: 't' }, {});
      expect(await kept()).not.toContain(secret);
      await expect(restored()).rejects.toMatchObject({ message: expect.stringContaining('--source URL') });
    },
  );
});

describe('a job file', () => {
  const variables = {
    source: {
      http: {
        url: 'https://h/list?token=${TOKEN}',
        headers: { Authorization: 'Bearer ${TOKEN}', 'X-Key': '${KEY}' },
        auth: { basic: { user: '${WHO}', password: '${PASSWORD}' } },
        body: { key: '${KEY}' },
      },
    },
    columns: { token: 'token', password: { from: 'p' } },
    sink: { postgres: { url: 'postgres://ann:${PASSWORD}@h/d', table: 't', key: ['id'] } },
  };

  test('is kept whole when its secrets are variables', async () => {
    const redactor = new Redactor();
    redactor.learn(variables);
    saveJob(folder, 'r1', { file: 'job.yaml', value: variables }, (text) => redactor.clean(text) === text);
    const saved = readSavedJob(folder)!;
    expect(saved).toMatchObject({ file: 'job.yaml', withheld: [] });
    expect(await restore(saved, {}, async () => expect.unreachable())).toEqual(variables);
  });

  test('is asked again for the secrets that are written in it', async () => {
    const job = {
      source: {
        http: {
          url: 'https://h/list',
          headers: { Authorization: `Bearer ${secret}` },
          auth: { bearer: `\${TOKEN:-${secret}}` },
          body: { filters: [{ token: secret, a: 1 }] },
        },
      },
      sink: { postgres: { url: `postgres://ann:${secret}@h/d`, table: 't', key: ['id'] } },
    };
    saveJob(folder, 'r1', { file: 'job.yaml', value: job }, () => true);
    expect(await kept()).not.toContain(secret);
    const saved = readSavedJob(folder)!;
    expect(saved.withheld).toHaveLength(4);
    expect(await restore(saved, {}, async (path) => (path === 'job.yaml' ? job : undefined))).toEqual(job);
    await expect(restore(saved, {}, async () => ({}))).rejects.toMatchObject({
      code: 'withheld',
      message: expect.stringContaining('run job.yaml again, with --resume'),
    });
  });
});

test('what must not be shown and stands where nobody looked for it is not kept at all', async () => {
  const value = { source: { file: { path: secret } } };
  expect(() => saveJob(folder, 'r1', { file: null, value }, (text) => !text.includes(secret))).toThrow('a secret');
  expect(await readdir(folder)).toEqual([]);
});

test.each(['', '{', '[]', '{"version":2}'])('a job.json that says %j is refused', async (text) => {
  await writeFile(join(folder, 'job.json'), text);
  expect(() => readSavedJob(folder)).toThrow('job.json is not what this version of Sluice writes there');
});
