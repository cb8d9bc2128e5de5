import { execFile, spawn } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../src/hosts/cli/demo/free-port.js';

const run = promisify(execFile);
const root = '/usr/lib/postgresql';

/** Programs of one version of PostgreSQL. */
export interface InstalledPostgres {
  /** Such as `Debian 15`. */
  readonly name: string;
  /** The folder of `initdb` and `postgres`. */
  readonly bin: string;
}

/**
 * The versions that Debian's packages have put on this machine, and those in the folders that SLUICE_TEST_POSTGRES names
 * (as PATH does).
 */
export async function installedPostgres(): Promise<InstalledPostgres[]> {
  const debian = (await readdir(root).catch(() => [])).filter((name) => /^\d+$/.test(name)).sort();
  const named = (process.env.SLUICE_TEST_POSTGRES ?? '').split(delimiter).filter((bin) => bin !== '');
  return [
    ...debian.map((version) => ({ name: `Debian ${version}`, bin: join(root, version, 'bin') })),
    ...(await Promise.all(named.map(async (bin) => ({ name: await versionOf(bin), bin })))),
  ];
}

async function versionOf(bin: string): Promise<string> {
  const { stdout } = await run(join(bin, 'postgres'), ['--version']);
  return `PostgreSQL ${/\d+(\.\d+)*/.exec(stdout)?.[0]}`;
}

/** Starts one of them on a free port, in a directory of its own. */
export async function startInstalledPostgres({
  name,
  bin,
}: InstalledPostgres): Promise<AsyncDisposable & { readonly url: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-postgres-'));
  const data = join(directory, 'data');
  const identity = await serverUser();
  await mkdir(data);
  if (identity) {
    await chmod(directory, 0o755);
    await chown(data, identity.uid, identity.gid);
  }
  await run(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C'], identity);
  const port = await freePort();
  const settings = ['fsync=off', 'listen_addresses=127.0.0.1', 'unix_socket_directories='].flatMap((s) => ['-c', s]);
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...settings], {
    ...identity,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await new Promise<void>((resolve, reject) => {
    server.stderr.on('data', (text: Buffer) => {
      if (text.includes('ready to accept connections')) resolve();
    });
    server.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
  });
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGINT');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root, so root runs it as the user that Debian's package, or the embedded one, made for it. */
async function serverUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])]);
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}
