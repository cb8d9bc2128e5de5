import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { globSync } from 'tinyglobby';
import { describe } from 'vitest';
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
