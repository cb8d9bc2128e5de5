import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isOpen } from './postgres-server.js';

test('a file is open to all when every folder above it may be entered', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  try {
    const program = join(folder, 'inner', 'initdb');
    await mkdir(join(folder, 'inner'));
    await chmod(folder, 0o700);
    expect(await isOpen(program)).toBe(false);
    await chmod(folder, 0o755);
    expect(await isOpen(program)).toBe(true);
  } finally {
    await rm(folder, { recursive: true });
  }
});
