import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { globSync } from 'tinyglobby';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type CitiesApi, startCitiesApi } from '../../src/hosts/cli/demo/cities-api.js';
import { readJob } from '../../src/job/file.js';
import { type ScratchDatabase, scratchDatabase } from '../servers/database.js';
import { type Block, blocksOf, commandsOf, comparable } from './documentation.js';
import { scratchFolder } from './sluice.js';

const pages = ['README.md', ...globSync('docs/*.md').sort()];

const aerospikeHosts = inject('aerospikeHosts');
/** Its examples need a server that no npm package brings. */
const canRun = (page: string) => page !== 'docs/aerospike.md' || aerospikeHosts.length > 0;

let api: CitiesApi;
beforeAll(async () => {
  api = await startCitiesApi(10_000);
});
afterAll(() => api[Symbol.asyncDispose]());

interface Setting {
  readonly database: ScratchDatabase;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A folder in which `sluice`, `npx sluice` and `import 'sluice'` are those of this checkout. */
async function prepare(folder: string, database: ScratchDatabase): Promise<Setting> {
  const bin = join(folder, 'bin');
  await mkdir(bin);
  const main = resolve('dist/hosts/cli/main.js');
  await writeFile(join(bin, 'sluice'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 });
  await writeFile(join(bin, 'npx'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
  await mkdir(join(folder, 'node_modules/@types'), { recursive: true });
  await symlink(resolve('.'), join(folder, 'node_modules/sluice'));
  await symlink(resolve('node_modules/@types/node'), join(folder, 'node_modules/@types/node'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  const env = {
    ...process.env,
    PATH: `${bin}:${process.env.PATH}`,
    DATABASE_URL: database.url,
    CITIES_URL: api.url,
    AEROSPIKE_URL: `aerospike://${aerospikeHosts.join(',') || '127.0.0.1'}/test/docs_${randomBytes(6).toString('hex')}`,
  };
  return { folder, env, database };
}

function execute(command: string, args: readonly string[], { folder, env }: Setting): Promise<[string, number | null]> {
  return new Promise((done, failed) => {
    const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const add = (text: string) => (output += text);
    child.stdout.setEncoding('utf8').on('data', add);
    child.stderr.setEncoding('utf8').on('data', add);
    child.once('error', failed).once('close', (code) => done([output, code]));
  });
}

/** Compiles the programs of a page as a user's compiler would, all at once. */
async function compile(programs: readonly Block[], setting: Setting): Promise<void> {
  if (programs.length === 0) return;
  const files = await Promise.all(
    programs.map(async ({ text, line }) => {
      const name = `line-${line}.ts`;
      await writeFile(join(setting.folder, name), text);
      return name;
    }),
  );
  const compilerOptions = { target: 'es2022', module: 'nodenext', strict: true, types: ['node'] };
  await writeFile(join(setting.folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  const [output, code] = await execute(process.execPath, [resolve('node_modules/typescript/bin/tsc')], setting);
  expect({ output, code }).toEqual({ output: '', code: 0 });
}

/** Runs one block. `before` is the block before it, whose output a `text` block shows. */
async function run(block: Block, before: Block | undefined, setting: Setting): Promise<string> {
  const { language, text, line } = block;
  if (language === 'sh') {
    const [output, code] = await execute('bash', ['-ec', text], setting);
    expect({ output, code }).toEqual({ output: '', code: 0 });
  } else if (language === 'console') {
    for (const { command, output } of commandsOf(text)) {
      const [found] = await execute('bash', ['-c', `exec 2>&1; ${command}`], setting);
      expect(`$ ${command}\n${comparable(found)}`).toBe(`$ ${command}\n${comparable(output)}`);
    }
  } else if (language === 'yaml') {
    const name = /^# (\S+\.yaml)\n/.exec(text)?.[1];
    if (name !== undefined) await writeFile(join(setting.folder, name), text);
    const job = name === undefined ? `${fragmentFrame}${text}` : text;
    await readJob(job, name ?? `line ${line}`, setting.env);
  } else if (language === 'ts') {
    const [output, code] = await execute(process.execPath, [`line-${line}.js`], setting);
    expect({ output, code }).toEqual({ output, code: 0 });
    return output;
  } else if (language === 'sql') {
    const { rows } = await setting.database.client.query<unknown[]>({ text, rowMode: 'array' });
    return rows.map((row) => `${row.map(String).join('|')}\n`).join('');
  } else {
    expect(`${language} after ${before?.language}`).toMatch(/^text after (ts|sql)$/);
  }
  return '';
}

/** What makes a whole job of a piece of one. */
const fragmentFrame = `
source: { file: { path: a.csv } }
sink: { postgres: { table: t } }
`;

describe.each(pages)('%s', (page) => {
  test.runIf(canRun(page))('every example is run, and does what the page shows', { timeout: 60_000 }, async () => {
    const blocks = blocksOf(await readFile(page, 'utf8')).filter(({ notRun }) => notRun === undefined);
    await using database = await scratchDatabase();
    await using folder = await scratchFolder();
    const setting = await prepare(folder.path, database);
    await compile(
      blocks.filter(({ language }) => language === 'ts'),
      setting,
    );
    let printed = '';
    for (const [index, block] of blocks.entries()) {
      if (block.language === 'text') expect(printed.trimEnd()).toBe(block.text.trimEnd());
      printed = await run(block, blocks[index - 1], setting);
    }
  });

  test('every link leads to a file, and within it to a heading', async () => {
    const text = await readFile(page, 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target.startsWith('https://')) continue;
      const [path = '', heading] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      expect(existsSync(file), `${target} is there`).toBe(true);
      if (heading === undefined) continue;
      const found = await readFile(file, 'utf8');
      const anchors = [...found.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => anchor(title));
      expect(anchors, target).toContain(heading);
    }
  });
});

/** As the pages' hosts make it of a heading. */
function anchor(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

test('only these examples are not run, and the page says why', async () => {
  const notRun: string[] = [];
  let run = 0;
  for (const page of pages) {
    for (const block of blocksOf(await readFile(page, 'utf8'))) {
      if (block.notRun === undefined) run += 1;
      else notRun.push(`${page} ${block.language}: ${block.notRun}`);
    }
  }
  expect(notRun).toEqual([
    'README.md sh: installs packages; the demo has a test of its own',
    'README.md text: the demo has a test of its own',
    'docs/container.md sh: needs Docker',
    'docs/container.md console: needs a run that lasts',
    'docs/container.md dockerfile: a Dockerfile',
    'docs/lambda.md yaml: a part of a template',
  ]);
  expect(run).toBeGreaterThan(20);
});
