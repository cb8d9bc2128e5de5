import { setTimeout as sleep } from 'node:timers/promises';
import { pgbouncerInstalled, startPgbouncer } from '../servers/pgbouncer.js';
import { lineFaults, startFaultProxy } from './fault-proxy.js';
import { type Arena, Job } from './job.js';

export interface Scenario {
  readonly name: string;
  /** Why it can't be run on this machine. */
  readonly notRun?: string;
  run(arena: Arena): Promise<void>;
}

/** What a loader may end with when the server or the line fails before its run has begun: it never waits for a first connection. */
const noConnection = ['connect-failed', 'connection-refused', 'connect-timeout', 'server-starting', 'refused'];

/** Kills loaders one after another at random moments, each followed by the next without a pause. */
async function killAgainAndAgain(job: Job, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const { random, faults } = job.arena;
  for (let i = 0; i < faults; i++) {
    const moment = random.next() ** 2 * 600;
    const early = random.chance(0.1);
    // Not waiting for its end, the next one may come while the last is still dying.
    const atOnce = random.chance(0.5);
    const loader = job.launch({ wait: true });
    if (!early) await loader.ready;
    await sleep(moment);
    const killed = job.kill(loader, signal);
    if (killed && atOnce) continue;
    const end = await job.end(loader);
    if (end.report?.status.startsWith('complete')) return;
  }
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'kill',
    async run(arena) {
      await using job = await Job.create(arena);
      await killAgainAndAgain(job, 'SIGKILL');
      await job.complete({ wait: true });
      await job.verify();
    },
  },
  {
    name: 'terminate',
    async run(arena) {
      await using job = await Job.create(arena);
      await killAgainAndAgain(job, 'SIGTERM');
      await job.complete({ wait: true });
      await job.verify();
    },
  },
  {
    name: 'line',
    async run(arena) {
      await using job = await Job.create(arena);
      await using proxy = await startFaultProxy(job.url, arena.random.fork(), {
        share: 0.6,
        most: arena.faults,
        faults: lineFaults,
        onFault: (fault) => arena.tally.inject(`line ${fault}`),
      });
      job.url = proxy.url;
      for (const code of noConnection) job.allowed.add(code);
      await job.complete();
      await job.verify();
    },
  },
];
void pgbouncerInstalled;
void startPgbouncer;
