import { expect, test, vi } from 'vitest';
import { freePort } from '../../src/hosts/cli/demo/free-port.js';
import { scratchDatabase } from '../servers/database.js';
import { startTroubledApi } from '../servers/troubled-api.js';
import { scratchFolder, sluice, start } from './sluice.js';

test('a run tells whoever asks how it goes, while it goes', async () => {
  await using database = await scratchDatabase();
  await using folder = await scratchFolder();
  let go: (() => void) | undefined;
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  await using api = await startTroubledApi(async ({ index }) => {
    if (index > 1) await held;
    return { body: index < 3 ? [{ id: index, name: 'n' }] : [] };
  });
  const port = await freePort();
  const flags = [
    '--table',
    't',
    '--create',
    '--pagination',
    'page',
    '--page-param',
    'page',
    '--parallel',
    '1',
    '--key',
    'id',
  ];
  const running = start(['load', api.url, database.url, ...flags, '--health-port', String(port)], { cwd: folder.path });
  const ask = () => fetch(`http://127.0.0.1:${port}/health`);
  await vi.waitFor(
    async () => {
      const response = await ask();
      expect(response.status).toBe(200);
      const { run, ...rest } = Object(await response.json());
      expect(rest).toMatchObject({ healthy: true, state: 'running', progress: { read: expect.any(Number) } });
      expect(run).toMatch(/^\d{8}T/);
      expect(JSON.stringify(rest)).not.toContain('postgres');
    },
    { timeout: 20_000, interval: 100 },
  );
  go!();
  const { code, stderr } = await running.ended;
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining(`:${port}/health`) });
  await expect(ask()).rejects.toThrow();
});

test('the port may come from the environment, and a wrong one is told before anything is done', async () => {
  await using folder = await scratchFolder();
  const args = ['load', '-', 'postgres://127.0.0.1:1/none', '--table', 't', '--format', 'csv'];
  const wrong = await sluice(args, { cwd: folder.path, env: { SLUICE_HEALTH_PORT: 'x' } });
  expect(wrong).toMatchObject({ code: 3, stderr: expect.stringContaining('SLUICE_HEALTH_PORT') });
});
