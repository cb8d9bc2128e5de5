import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { globSync } from 'tinyglobby';
import { describe, expect, test } from 'vitest';
import { ledgerConformance } from '../../test/conformance/ledger.js';
import { fileLedger } from './file-ledger.js';

describe('a ledger in a folder', () => {
  ledgerConformance({
    takenOver: 'taken-over',
    async store() {
      const folder = await mkdtemp(join(tmpdir(), 'sluice-ledger-'));
      return {
        ledger: () => fileLedger(folder),
        settle: (ledger, spans, rejects, context) => ledger.settle!(spans, rejects, context),
        async silence() {
          const before = new Date(Date.now() - 60_000);
          for (const turn of globSync('*/turns/*', { cwd: folder, absolute: true })) await utimes(turn, before, before);
        },
        [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
      };
    },
  });
});

test('a folder that can’t be made, or is none, is said to be unusable, and what to do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-ledger-'));
  try {
    const path = join(folder, 'file');
    await writeFile(path, '');
    const never = new AbortController().signal;
    const request = { run: 'r1', job: 'job', resume: 'no', source: 's', sink: 's', holder: 'me' } as const;
    const begun = fileLedger(path).begin({ ...request, mayBeAlive: () => true, columns: [], fingerprints: {} }, never);
    await expect(begun).rejects.toMatchObject({ code: 'ledger-unusable', message: expect.stringContaining(path) });
    expect(await fileLedger(join(folder, 'nowhere')).runs(never)).toEqual([]);
    expect(await fileLedger(folder).runs(never)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
