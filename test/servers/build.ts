import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { globSync } from 'tinyglobby';

/**
 * Builds dist/ when it is missing or older than src/, so that tests of the command run what is in the checkout.
 * @throws when the compiler finds a mistake: it says where.
 */
export function build(): void {
  const newest = Math.max(...globSync(['src/**/*.ts', 'scripts/*.js', 'tsconfig*.json']).map(changed));
  if (changed('dist/hosts/cli/main.js') > newest) return;
  console.log('dist/ is missing or stale: building it');
  const { status, stdout, stderr } = spawnSync('npm', ['run', 'build'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error(`dist/ could not be built, and tests of the command need it:\n${stdout}${stderr}`);
}

function changed(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
