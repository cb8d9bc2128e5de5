import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { expect, onTestFinished, test } from 'vitest';

test('the published types pass a user compiler that checks libraries, at its strictest', {
  timeout: 120_000,
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
    join(folder, 'consumer.mts'),
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
    types: ['node'],
    typeRoots: [resolve('node_modules/@types')],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    skipLibCheck: false,
    noEmit: true,
  };
  const compiler = resolve('node_modules/typescript/bin/tsc');
  for (const resolution of [
    { module: 'nodenext' },
    { module: 'node16', moduleResolution: 'node16' },
    { module: 'esnext', moduleResolution: 'bundler' },
  ]) {
    const project = { compilerOptions: { ...compilerOptions, ...resolution }, include: ['consumer.mts'] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(project));
    const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' });
    expect({ resolution, stdout, status }).toEqual({ resolution, stdout: '', status: 0 });
  }
});

/** The packages, and the parts of Sluice, that a bundle of this program holds. */
async function bundled(program: string): Promise<readonly string[]> {
  const { metafile } = await build({
    stdin: { contents: program, resolveDir: resolve('.'), sourcefile: 'program.js' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    metafile: true,
    write: false,
    logLevel: 'error',
  });
  const [output] = Object.values(metafile.outputs);
  const held = Object.entries(output?.inputs ?? {}).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  const parts = held.map(([path]) => /node_modules\/([^/]+)/.exec(path)?.[1] ?? path.replace(/^dist\/|\/[^/]+$/g, ''));
  return [...new Set(parts)];
}

test.each([
  ["import { ConfigError } from 'sluice'; console.log(ConfigError)", ['pg', 'undici', 'zod', 'flow']],
  ["import { load } from 'sluice'; console.log(load)", ['pg', 'undici', 'zod', 'pino', 'yaml', 'commander']],
  ["import { iterable } from 'sluice/sources/iterable'; console.log(iterable)", ['pg', 'undici', 'zod', 'flow']],
  ["import { file } from 'sluice/sources/file'; console.log(file)", ['pg', 'undici', 'flow']],
  ["import { http } from 'sluice/sources/http'; console.log(http)", ['pg', 'tinyglobby', 'flow']],
  ["import { postgres } from 'sluice/sinks/postgres'; console.log(postgres)", ['undici', 'tinyglobby', 'flow']],
])('a bundle of %s holds nothing that it does not use', async (program, foreign) => {
  const parts = await bundled(program);
  expect(parts).not.toEqual([]);
  expect(parts.filter((part) => foreign.includes(part))).toEqual([]);
});
