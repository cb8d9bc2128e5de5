import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../../src/hosts/cli/demo/free-port.js';

const program = '/usr/sbin/pgbouncer';

/** Whether Debian's pgbouncer is installed on this machine. */
export const pgbouncerInstalled = existsSync(program);

interface Pooler extends AsyncDisposable {
  readonly url: string;
  /** The databases its clients are connected to, but for its own console's. */
  clients(): Promise<readonly string[]>;
}

/** Debian's pgbouncer in transaction mode before the server of `url`, with room for few server connections. */
export async function startPgbouncer(url: string): Promise<Pooler> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-pgbouncer-'));
  const server = new URL(url);
  const port = await freePort();
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: 'transaction',
    default_pool_size: 4,
    max_client_conn: 50,
  };
  const file = join(folder, 'pgbouncer.ini');
  await writeFile(
    file,
    `[databases]\n* = host=${server.hostname} port=${server.port} user=${server.username} password=${server.password}\n[pgbouncer]\n${Object.entries(
      settings,
    )
      .map(([name, value]) => `${name} = ${value}\n`)
      .join('')}`,
  );
  await chmod(folder, 0o755);
  // pgbouncer refuses to run as root.
  const identity = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const process_ = spawn(program, ['-q', ...identity, file], { stdio: ['ignore', 'ignore', 'pipe'] });
  await listening(process_, port);
  const through = new URL(url);
  through.port = String(port);
  return {
    url: through.href,
    async clients() {
      const console = new pg.Client({
        connectionString: Object.assign(new URL(through), { pathname: '/pgbouncer' }).href,
      });
      await console.connect();
      const { rows } = await console.query<{ database: string }>('SHOW CLIENTS');
      await console.end();
      return rows.map(({ database }) => database).filter((database) => database !== 'pgbouncer');
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => process_.once('exit', resolve));
      process_.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function listening(server: ChildProcess, port: number): Promise<void> {
  let said = '';
  server.stderr?.on('data', (text: Buffer) => {
    said += text;
  });
  for (let i = 0; i < 100; i++) {
    if (server.exitCode !== null) throw new Error(`pgbouncer ended: ${said}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.end());
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`pgbouncer does not listen: ${said}`);
}
