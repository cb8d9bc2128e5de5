import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, test } from 'vitest';
import { reportOf, scratchFolder, sluice, start } from '../integration/sluice.js';
import { type ScratchSet, scratchSet } from './scratch-set.js';

const hosts = inject('aerospikeHosts');
const urlOf = ({ namespace, set }: ScratchSet) => `aerospike://${hosts.join(',')}/${namespace}/${set}`;

describe.runIf(hosts.length > 0)('the command, into a real cluster', () => {
  test('killed at any moment, a load goes on where it was, and every record is there', {
    timeout: 90_000,
  }, async () => {
    await using scratch = await scratchSet(hosts);
    await using folder = await scratchFolder();
    const count = 60_000;
    const lines = Array.from({ length: count }, (_, id) => JSON.stringify({ id, tags: ['regular', `t${id % 9}`] }));
    await writeFile(join(folder.path, 'users.ndjson'), `${lines.join('\n')}\n`);
    const args = ['load', 'users.ndjson', urlOf(scratch), '--key', 'id', '--workers', '2', '--batch-size', '200'];
    const at = { cwd: folder.path };
    let kills = 0;
    for (const pause of [500, 700, 900]) {
      const { process: child, ended } = start([...args, '--resume', '--quiet'], at);
      await sleep(pause);
      kills += child.kill('SIGKILL') ? 1 : 0;
      await ended;
    }
    expect(kills).toBeGreaterThan(0);
    const last = await sluice([...args, '--resume', '--json'], at);
    expect(reportOf(last)).toMatchObject({ status: 'complete', read: count, rejected: 0, guarantee: 'idempotent' });
    const found = await scratch.official.scan(scratch.namespace, scratch.set);
    expect(found).toHaveLength(count);
    const { stdout } = await sluice(['runs', '.sluice/ledger'], at);
    expect(stdout).toMatch(/complete +60,000/);
  });

  test('a reject stands in the run folder; the mended record is loaded like any other', async () => {
    await using scratch = await scratchSet(hosts);
    await using folder = await scratchFolder();
    const at = { cwd: folder.path };
    await writeFile(join(folder.path, 'users.csv'), 'id,tags\n1,"[""a""]"\ntwo,[]\n3,\n');
    const flags = [urlOf(scratch), '--key', 'id', '--key-type', 'integer', '--bins', 'tags:json,id:integer'];
    const first = await sluice(['load', 'users.csv', ...flags, '--run-dir', 'r1', '--json'], at);
    expect(first.code).toBe(1);
    expect(reportOf(first)).toMatchObject({ written: 2, rejected: 1 });
    const reject: unknown = JSON.parse(await readFile(join(folder.path, 'r1/rejects.ndjson'), 'utf8'));
    expect(reject).toMatchObject({ code: 'not-an-integer', column: 'id', row: 2, record: 'two,[]' });
    const replayed = await sluice(['replay', './r1'], at);
    expect(replayed.code).toBe(3);
    expect(replayed.stderr).toContain('a replay needs a ledger in the target');
    await writeFile(join(folder.path, 'mended.csv'), 'id,tags\n2,[]\n');
    expect((await sluice(['load', 'mended.csv', ...flags], at)).code).toBe(0);
    const read = await scratch.official.read(scratch.namespace, scratch.set, [1, 2, 3]);
    expect(read.map((record) => record?.bins)).toEqual([{ id: 1, tags: ['a'] }, { id: 2, tags: [] }, { id: 3 }]);
  });

  test('without a ledger nothing is kept, and nothing can be gone on with', async () => {
    await using scratch = await scratchSet(hosts);
    await using folder = await scratchFolder();
    const at = { cwd: folder.path };
    await writeFile(join(folder.path, 'users.ndjson'), '{"id":1,"a":1}\n');
    const args = ['load', 'users.ndjson', urlOf(scratch), '--key', 'id', '--no-ledger'];
    expect((await sluice(args, at)).code).toBe(0);
    const again = await sluice([...args, '--resume'], at);
    expect(again.code).toBe(3);
    expect(again.stderr).toContain('keeps no ledger');
    expect((await sluice(['runs', '.sluice/ledger'], at)).code).toBe(3);
  });
});
