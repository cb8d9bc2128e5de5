import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { info } from './info.js';

/** What a node is started with. */
export interface NodeOptions {
  /** Path of the server's program. */
  readonly program: string;
  /** A folder of its own. */
  readonly folder: string;
  /** Hexadecimal, different for each node of a cluster. */
  readonly id: string;
  readonly port: number;
  readonly fabricPort: number;
  readonly heartbeatPort: number;
  /** Heartbeat ports of the whole cluster. */
  readonly mesh: readonly number[];
  readonly replication: number;
  readonly cluster: string;
}

/** One server process that tests may kill, stop and start again. Its namespaces are those of `namespaces`. */
export class AerospikeNode {
  readonly host: string;
  readonly #options: NodeOptions;
  #process: ChildProcess | undefined;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.host = `127.0.0.1:${options.port}`;
  }

  /** Starts it; resolves when it answers, which is before it has found the others. */
  async start(): Promise<void> {
    const { program, folder } = this.#options;
    for (const name of ['smd', 'udf']) await mkdir(join(folder, name), { recursive: true });
    const file = join(folder, 'node.conf');
    await writeFile(file, configuration(this.#options));
    const log = openSync(join(folder, 'node.log'), 'a');
    const server = spawn(program, ['--config-file', file, '--foreground'], { stdio: ['ignore', log, log] });
    this.#process = server;
    let failed: Error | undefined;
    server.once('error', (error) => {
      failed = error;
    });
    for (let i = 0; i < 150; i++) {
      if (failed) throw new Error(`${program} does not start`, { cause: failed });
      if (server.exitCode !== null) throw new Error(`Aerospike ended with ${server.exitCode}:\n${await this.#said()}`);
      if ((await info(this.host, 'status', 1_000).catch(() => '')) === 'ok') return;
      await sleep(100);
    }
    throw new Error(`Aerospike on ${this.host} does not answer:\n${await this.#said()}`);
  }

  /** SIGKILL: what is in memory is gone, and what was not yet written to the file. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** SIGTERM: writes out what belongs on the file; what is in memory is gone. */
  leave(): Promise<void> {
    return this.#end('SIGTERM');
  }

  /** SIGSTOP: connections stay open, nothing is answered. */
  stall(): void {
    this.#process?.kill('SIGSTOP');
  }

  /** SIGCONT. */
  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#process;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill(signal);
    await ended;
  }

  async #said(): Promise<string> {
    return (await readFile(join(this.#options.folder, 'node.log'), 'utf8').catch(() => '')).slice(-2_000);
  }
}

function configuration({
  folder,
  port,
  fabricPort,
  heartbeatPort,
  id,
  mesh,
  replication,
  cluster,
}: NodeOptions): string {
  const seeds = mesh.map((seed) => `mesh-seed-address-port 127.0.0.1 ${seed}`).join('\n    ');
  return `service {
  run-as-daemon false
  proto-fd-max 2048
  work-directory ${folder}
  pidfile ${join(folder, 'node.pid')}
  cluster-name ${cluster}
  node-id ${id}
  migrate-threads 4
}
mod-lua {
  user-path ${join(folder, 'udf')}
}
logging {
  console {
    context any info
  }
}
network {
  service {
    address 127.0.0.1
    access-address 127.0.0.1
    port ${port}
  }
  heartbeat {
    mode mesh
    address 127.0.0.1
    port ${heartbeatPort}
    ${seeds}
    interval 150
    timeout 10
  }
  fabric {
    address 127.0.0.1
    port ${fabricPort}
  }
}
# In memory, records of 1 MiB at most; TTLs are allowed.
namespace test {
  replication-factor ${replication}
  max-record-size 1M
  migrate-sleep 0
  nsup-period 10
  storage-engine memory {
    data-size 1G
    stop-writes-used-pct 90
  }
}
# On a file, with the smallest write cache there is: large values overload it.
namespace device {
  replication-factor ${replication}
  max-record-size 1M
  migrate-sleep 0
  storage-engine device {
    file ${join(folder, 'device.dat')}
    filesize 2G
    flush-size 1M
    max-write-cache 64M
  }
}
`;
}
