import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

test('the published types pass a user compiler that checks libraries, at its strictest', {
  timeout: 60_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-types-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'node_modules'));
  await symlink(resolve('.'), join(folder, 'node_modules', 'sluice'), 'junction');
  const { exports }: { exports: Readonly<Record<string, unknown>> } = JSON.parse(
    await readFile('package.json', 'utf8'),
  );
  const modules = Object.keys(exports).filter((name) => !name.endsWith('.json'));
  expect(modules.length).toBeGreaterThan(5);
  await writeFile(
    join(folder, 'consumer.ts'),
    `${modules.map((name, i) => `import * as part${i} from 'sluice${name.slice(1)}';\nvoid part${i};`).join('\n')}
import { load, type Report } from 'sluice';
import { postgres } from 'sluice/sinks/postgres';
import { iterable } from 'sluice/sources/iterable';

interface City { readonly id: number; readonly name: string }
declare const cities: AsyncIterable<readonly City[]>;
export const report: Promise<Report> = load({ source: iterable(cities), sink: postgres({ table: 'cities' }), maxErrors: '1%' });
`,
  );
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    typeRoots: [resolve('node_modules/@types')],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    skipLibCheck: false,
    noEmit: true,
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['consumer.ts'] }));
  const compiler = resolve('node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});
