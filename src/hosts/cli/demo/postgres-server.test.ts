import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkReach } from './postgres-server.js';

test('a folder that is closed to the user PostgreSQL runs as is named, with what to do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  try {
    const program = join(folder, 'inner', 'initdb');
    await mkdir(join(folder, 'inner'));
    await chmod(folder, 0o700);
    await expect(checkReach(program)).rejects.toMatchObject({
      code: 'closed-folder',
      message: expect.stringContaining(`may not enter ${folder}. Move the checkout`),
    });
    await chmod(folder, 0o755);
    await expect(checkReach(program)).resolves.toBeUndefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});
