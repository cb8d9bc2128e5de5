import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { RunStatus, Snapshot } from '../../contract/index.js';
import { ConfigError, codeOf, messageOf } from '../../errors.js';

type State = 'starting' | 'waiting' | 'running' | RunStatus;

const bad: readonly State[] = ['failed', 'incomplete', 'too-many-rejects'];

/** Tells whoever asks over HTTP how a run goes. Disposing it ends that. */
export interface Health extends AsyncDisposable {
  /** Undefined where nobody can ask. */
  readonly port: number | undefined;
  begun(run: string): void;
  /** Another process holds the job. */
  waiting(): void;
  update(snapshot: Snapshot): void;
  ended(status: RunStatus): void;
}

/** Milliseconds without progress after which a run counts as stuck: a database that comes back, or an API that asks for patience, takes less. */
const patience = 5 * 60_000;

/** For a run that nobody asks after. */
const unasked: Health = {
  port: undefined,
  begun() {},
  waiting() {},
  update() {},
  ended() {},
  async [Symbol.asyncDispose]() {},
};

/**
 * Answers `GET /health` on a port of every address of this machine: 200 while the run moves, 503 when it has not for five
 * minutes, or has failed; with the run's state and progress as JSON. Without a port it does nothing; 0 takes a free one.
 * @throws ConfigError `bad-usage`, `port-taken`.
 */
export async function serveHealth(
  port: string | undefined,
  { now = () => performance.now(), stuckAfter = patience }: { now?: () => number; stuckAfter?: number } = {},
): Promise<Health> {
  if (port === undefined || port === '') return unasked;
  let state: State = 'starting';
  let run: string | null = null;
  let progress: Snapshot | null = null;
  let moved = now();

  const move = (to: State) => {
    state = to;
    moved = now();
  };
  function answer(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '' } = request;
    if (url.split('?')[0] !== '/health' || !['GET', 'HEAD'].includes(method)) {
      response.writeHead(404).end();
      return;
    }
    const idle = (now() - moved) / 1000;
    const stuck = (state === 'running' || state === 'starting') && now() - moved > stuckAfter;
    const healthy = !stuck && !bad.includes(state);
    const body = { healthy, state, run, secondsSinceProgress: Math.round(idle), progress };
    response
      .writeHead(healthy ? 200 : 503, { 'content-type': 'application/json', 'cache-control': 'no-store' })
      .end(method === 'HEAD' ? undefined : `${JSON.stringify(body)}\n`);
  }

  // Most runs are not asked after, and are not to load it.
  const { createServer } = await import('node:http');
  const server = createServer(answer);
  // A run that has ended is not to be kept by it.
  server.unref();
  const bound = await listen(server, portOf(port));
  return {
    port: bound,
    begun(name) {
      run = name;
      move('running');
    },
    waiting: () => move('waiting'),
    update(snapshot) {
      if (progress === null || snapshot.settled !== progress.settled || snapshot.read !== progress.read) moved = now();
      progress = snapshot;
    },
    ended: move,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new ConfigError(
    'bad-usage',
    `--health-port (or SLUICE_HEALTH_PORT): expected a port, 0 to 65535, not "${text}"`,
  );
}

async function listen(server: Server, port: number): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, resolve);
    });
  } catch (cause) {
    const why = codeOf(cause) === 'EADDRINUSE' ? 'another process listens there' : messageOf(cause);
    throw new ConfigError('port-taken', `--health-port ${port} can't be had: ${why}`, { cause });
  }
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
