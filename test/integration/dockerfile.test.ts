import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DockerfileParser, type Instruction } from 'dockerfile-ast';
import { validate } from 'dockerfile-utils';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../src/hosts/cli/demo/free-port.js';

// No Docker engine is asked for: what the file says is parsed, and the steps that build the image are run as they stand.
const text = await readFile('Dockerfile', 'utf8');
const instructions = DockerfileParser.parse(text).getInstructions();

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-image-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const keyword = (instruction: Instruction) => instruction.getKeyword();

/** The instructions from each FROM on. */
function stages(): Instruction[][] {
  const all: Instruction[][] = [];
  for (const instruction of instructions) {
    if (keyword(instruction) === 'FROM') all.push([]);
    all.at(-1)?.push(instruction);
  }
  return all;
}

function argumentsOf(stage: readonly Instruction[], name: string): string[] {
  return stage
    .filter((instruction) => keyword(instruction) === name)
    .map((found) => found.getRawArgumentsContent() ?? '');
}

/** Of an instruction in JSON form. */
function words(stage: readonly Instruction[], name: string): string[] {
  const [content = ''] = argumentsOf(stage, name);
  return JSON.parse(content.slice(content.indexOf('[')));
}

test('the Dockerfile is one that Docker understands', () => {
  expect(validate(text)).toEqual([]);
});

test('its image runs as another user than root, and says how it goes', () => {
  const last = stages().at(-1)!;
  expect(argumentsOf(last, 'USER')).toEqual(['node']);
  expect(argumentsOf(last, 'ENV').join(' ')).toContain('SLUICE_HEALTH_PORT=8080');
  expect(argumentsOf(last, 'EXPOSE')).toEqual(['8080']);
  expect(words(last, 'ENTRYPOINT')).toEqual(['node', '/opt/sluice/dist/hosts/cli/main.js']);
  const images = stages().map(([from]) => from?.getRawArgumentsContent());
  expect(images).toEqual([
    expect.stringMatching(/^node:\d+-slim AS build$/),
    expect.stringMatching(/^node:\d+-alpine$/),
  ]);
});

test('its steps, run on what the build is given, make a small command that starts for every user, and is healthy', async () => {
  const [build, last] = stages();
  const context = join(root, 'build');
  const ignore = (await readFile('.dockerignore', 'utf8'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(ignore[0]).toBe('*');
  await mkdir(context);
  for (const line of ignore.slice(1))
    await cp(line.replace(/^!/, ''), join(context, line.slice(1)), { recursive: true });

  const steps = argumentsOf(build!, 'RUN');
  // The packages that `npm ci` has brought here are the same.
  expect(steps.shift()).toBe('npm ci --ignore-scripts');
  await symlink(resolve('node_modules'), join(context, 'node_modules'));
  for (const step of steps) {
    const env = { ...process.env, npm_config_prefer_offline: 'true', npm_config_loglevel: 'error' };
    execFileSync('sh', ['-c', step], { cwd: context, env, stdio: ['ignore', 'ignore', 'inherit'] });
  }
  expect(argumentsOf(last!, 'COPY')).toEqual(['/build/image /opt/sluice']);
  // Away from the packages that are only there to build it.
  const image = join(root, 'sluice');
  await rename(join(context, 'image'), image);
  for (const folder of [root, image]) await chmod(folder, 0o755);

  const files = await readdir(image, { recursive: true, withFileTypes: true });
  // It was built for one C library, and runs on another.
  expect(files.filter(({ name }) => name.endsWith('.node'))).toEqual([]);
  const sizes = files.filter((file) => file.isFile()).map((file) => statSync(join(file.parentPath, file.name)).size);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  expect(bytes).toBeLessThan(60_000_000);

  const [node, main = ''] = words(last!, 'ENTRYPOINT');
  expect(node).toBe('node');
  const program = main.replace('/opt/sluice', image);
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const { version } = JSON.parse(await readFile('package.json', 'utf8'));
  const told = spawnSync(process.execPath, [program, '--version'], { ...nobody, cwd: '/', encoding: 'utf8' });
  expect(told).toMatchObject({ status: 0, stdout: `${version}\n` });

  // Without AWS's client it says what is to be installed.
  const clients = join(image, 'node_modules/@aws-sdk');
  await rename(clients, `${clients}-away`);
  const load = ['load', 's3://shop/a.csv', 'postgres://127.0.0.1:1/none', '--table', 't'];
  const work = join(root, 'work');
  await mkdir(work);
  await chmod(work, 0o777);
  const lacking = spawnSync(process.execPath, [program, ...load], { ...nobody, cwd: work, encoding: 'utf8' });
  expect(lacking).toMatchObject({ status: 3, stderr: expect.stringContaining('npm install @aws-sdk/client-s3') });
  await rename(`${clients}-away`, clients);

  // From S3, whose client is in the image, and of which nothing but silence comes.
  const [port, store] = [await freePort(), await freePort()];
  const { createServer } = await import('node:net');
  const silent = createServer((socket) => void socket.on('error', () => {})).listen(store, '127.0.0.1');
  const env = {
    PATH: process.env.PATH,
    SLUICE_HEALTH_PORT: String(port),
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${store}`,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: 'key',
  };
  const running = spawn(process.execPath, [program, ...load], { ...nobody, cwd: work, env, stdio: 'ignore' });
  const ended = new Promise((done) => running.once('exit', done));
  const [, probe, code = ''] = words(last!, 'HEALTHCHECK');
  expect(probe).toBe('-e');
  const ask = () => spawnSync(process.execPath, ['-e', code], { env }).status;
  try {
    let healthy = 1;
    for (let i = 0; i < 50 && healthy !== 0; i++) healthy = ask() ?? 1;
    expect(healthy).toBe(0);
    expect(running.exitCode).toBeNull();
  } finally {
    running.kill('SIGKILL');
    silent.close();
  }
  await ended;
  expect(ask()).toBe(1);
}, 180_000);
