import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { globSync } from 'tinyglobby';

/**
 * Builds dist/ when it is missing or older than src/, so that tests of the command run what is in the checkout.
 * @throws when the compiler finds a mistake: it says where.
 */
export function build(): void {
  const newest = Math.max(...globSync(['src/**/*.ts', 'tsconfig*.json']).map(changed));
  if (changed('dist/hosts/cli/main.js') > newest) return;
  console.log('dist/ is missing or stale: building it');
  const { status, stdout, stderr } = spawnSync(process.execPath, [
    'node_modules/typescript/bin/tsc',
    '-p',
    'tsconfig.build.json',
  ]);
  if (status !== 0) throw new Error(`dist/ could not be built, and tests of the command need it:\n${stdout}${stderr}`);
}

function changed(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
