import { setTimeout as sleep } from 'node:timers/promises';
import { pgbouncerInstalled, startPgbouncer } from '../servers/pgbouncer.js';
import { type LineFault, lineFaults, startFaultProxy } from './fault-proxy.js';
import { type Arena, ChaosError, describe, Job } from './job.js';

export interface Scenario {
  readonly name: string;
  /** What it shows, for the list that is printed. */
  readonly about: string;
  /** Why it can't be run on this machine. */
  readonly notRun?: string;
  run(arena: Arena): Promise<void>;
}

/** What a loader may end with when the server or the line fails before it holds the run: a first connection is not waited for. */
const noConnection = ['connect-failed', 'connection-refused', 'connect-timeout', 'server-starting', 'refused'];
/** Fenced off: SQLSTATE of the ledger's own. */
const fenced = 'SL001';
/** What a loader ends with when rows, its run, or the whole ledger are no longer there. */
const forgotten = ['settled-lost', fenced, '3F000', '42883', '42P01'];

export const scenarios: readonly Scenario[] = [
  {
    name: 'kill',
    about: 'loaders killed with SIGKILL at random moments, each followed at once by the next',
    async run(arena) {
      await using job = await Job.create(arena);
      await killAgainAndAgain(job, 'SIGKILL');
      await job.complete({ wait: true });
      await job.verify();
    },
  },
  {
    name: 'terminate',
    about: 'the same with SIGTERM, at which a loader ends what it has begun',
    async run(arena) {
      // What is read at SIGTERM is written; of a smaller file that would be all.
      await using job = await Job.create({ ...arena, rows: arena.rows * 10 });
      await killAgainAndAgain(job, 'SIGTERM');
      await job.complete({ wait: true });
      await job.verify();
    },
  },
  {
    name: 'line',
    about: 'a line that cuts, resets, stalls, delays, trickles, and loses COMMIT or its answer',
    async run(arena) {
      await using job = await Job.create(arena);
      await using _proxy = await faultyLine(job, lineFaults, 0.85);
      await job.complete({ batchRows: arena.random.int(100, 400) });
      await job.verify();
    },
  },
  {
    name: 'zombie',
    about: 'SIGKILL on a line that holds back what was sent, so that transactions live on after their loader',
    async run(arena) {
      await using job = await Job.create(arena);
      await using _proxy = await faultyLine(job, ['late-commit', 'late-commit', 'stall'], 0.9);
      await killAgainAndAgain(job, 'SIGKILL');
      await job.complete({ wait: true });
      await job.verify();
    },
  },
  {
    name: 'server',
    about: 'backends terminated or killed, the server crashed and restarted',
    async run(arena) {
      await using job = await Job.create(arena);
      for (const code of noConnection) job.allowedAtStart.add(code);
      await strike(job, ['terminate backend', 'kill -9 backend', 'kill -9 postmaster', 'restart']);
      await job.verify();
    },
  },
  {
    name: 'forgetful',
    about: 'a server that crashes and forgets what it had confirmed (synchronous_commit off)',
    async run(arena) {
      await using job = await Job.create(arena);
      await job.query(`ALTER DATABASE ${job.database} SET synchronous_commit = off`);
      for (const code of noConnection) job.allowedAtStart.add(code);
      for (const code of forgotten) job.allowed.add(code);
      await strike(job, ['kill -9 postmaster', 'kill -9 backend'], 'forgetful ');
      // What the last one had been told may have been forgotten after its end.
      await job.complete();
      await job.verify();
    },
  },
  {
    name: 'pair',
    about: 'two loaders of the same job started together',
    async run(arena) {
      await using job = await Job.create(arena);
      await startTogether(job);
      await job.verify();
    },
  },
  {
    name: 'stop',
    about: 'a loader stopped with SIGSTOP that wakes up after another has taken over',
    async run(arena) {
      await using job = await Job.create(arena);
      await wakeTooLate(job);
      await job.verify();
    },
  },
  {
    name: 'silent',
    about: 'a loader whose heartbeats are lost while it goes on writing, and another that takes over',
    async run(arena) {
      await using job = await Job.create(arena);
      await takeOverAlive(job);
      await job.verify();
    },
  },
  {
    name: 'pgbouncer',
    about: 'SIGKILL and terminated backends through pgbouncer in transaction mode',
    ...(pgbouncerInstalled ? {} : { notRun: "Debian's package pgbouncer is not installed" }),
    async run(arena) {
      await using job = await Job.create(arena);
      await using pooler = await startPgbouncer(job.url);
      job.url = pooler.url;
      for (const code of noConnection) job.allowedAtStart.add(code);
      await killAgainAndAgain(job, 'SIGKILL');
      await strike(job, ['terminate backend']);
      await job.verify();
    },
  },
];

/** Loaders killed one after another at random moments, each followed by the next without a pause. */
async function killAgainAndAgain(job: Job, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const { random, faults } = job.arena;
  for (let i = 0; i < faults; i++) {
    const moment = random.next() ** 2 * 500;
    const after = random.pick(['birth', 'start', 'start', 'start', 'start', 'first rows', 'first rows', 'first rows']);
    // The next one may come while the last is still dying.
    const atOnce = random.chance(0.5);
    const loader = job.launch({ wait: true });
    if (after === 'start') await loader.ready;
    if (after === 'first rows') await job.begun(loader);
    await sleep(moment);
    const killed = job.kill(loader, signal);
    if (killed && atOnce) continue;
    const end = await job.end(loader);
    if (end.report?.status.startsWith('complete')) return;
  }
}

/** Puts a line that fails between the job and its server. */
async function faultyLine(
  job: Job,
  faults: readonly [LineFault, ...LineFault[]],
  share: number,
): Promise<AsyncDisposable> {
  const { random, tally, faults: most } = job.arena;
  const onFault = (fault: LineFault) => tally.inject(`line: ${fault}`);
  const proxy = await startFaultProxy(job.url, random.fork(), { share, most, faults, onFault });
  job.url = proxy.url;
  for (const code of noConnection) job.allowedAtStart.add(code);
  return proxy;
}

type Strike = 'terminate backend' | 'kill -9 backend' | 'kill -9 postmaster' | 'restart';

/** Runs the job to its end while the server is struck again and again. */
async function strike(job: Job, strikes: readonly [Strike, ...Strike[]], prefix = ''): Promise<void> {
  const { random, tally, server, faults } = job.arena;
  const own = random.fork();
  let done = false;
  const striking = async () => {
    for (let i = 0; i < faults && !done; i++) {
      await sleep(own.int(20, 300));
      const kind = own.pick(strikes);
      if (await carryOut[kind](server, own)) tally.inject(`${prefix}${kind}`);
    }
  };
  // Small batches, so that the load takes its time.
  const loading = job.complete({ wait: true, batchRows: random.int(40, 150) }).finally(() => {
    done = true;
  });
  await Promise.all([loading, striking()]);
}

const carryOut: Readonly<Record<Strike, (server: Arena['server'], random: Arena['random']) => Promise<boolean>>> = {
  'terminate backend': (server, random) => server.terminateBackend(random),
  'kill -9 backend': (server, random) => server.killBackend(random),
  'kill -9 postmaster': (server) => server.crash().then(() => true),
  restart: (server) => server.restart().then(() => true),
};

async function startTogether(job: Job): Promise<void> {
  const { random, tally } = job.arena;
  const wait = random.chance(0.5);
  if (!wait) job.allowedAtStart.add('job-held');
  const pair = [job.launch({ wait }), job.launch({ wait })];
  tally.inject(wait ? 'two at once, the second waits' : 'two at once, the second is told');
  const ends = await Promise.all(pair.map((loader) => job.end(loader)));
  const complete = ends.filter(({ report, error }) => error === undefined && report?.status.startsWith('complete'));
  const told = ends.filter(({ error }) => error?.code === 'job-held');
  // Without a wait the second may still come so late that the first has ended: then it finds all done.
  if (complete.length + told.length !== 2 || complete.length === 0 || (wait && told.length > 0)) {
    throw new ChaosError(`of two loaders one ended with ${ends.map(describe).join(', the other with ')}`);
  }
  const written = complete.map(({ report }) => report?.written ?? 0);
  if (written.filter((rows) => rows > 0).length !== 1) throw new ChaosError(`two loaders wrote: ${written.join(', ')}`);
}

async function wakeTooLate(job: Job): Promise<void> {
  const { random, tally } = job.arena;
  const first = job.launch({ batchRows: random.int(50, 300) });
  await job.begun(first);
  await sleep(random.int(0, 100));
  if (!first.kill('SIGSTOP')) return;
  tally.inject('SIGSTOP');
  job.allowedAtStart.add('job-held');
  const tooEarly = await job.end(job.launch());
  if (tooEarly.error?.code !== 'job-held' && tooEarly.report?.written !== 0) {
    throw new ChaosError(`a job held by a living process was taken over at once: ${describe(tooEarly)}`);
  }
  // As if it had been stopped for longer than its lease.
  await job.query("UPDATE sluice.run SET heartbeat = now() - interval '1 minute'");
  const second = job.launch({ wait: true });
  // It wakes up while the other is at work, or when that has ended.
  if (random.chance(0.5)) await job.begun(second);
  else await job.end(second);
  job.allowed.add(fenced);
  first.kill('SIGCONT');
  const woken = await job.end(first);
  if (woken.error?.code !== fenced && tooEarly.error !== undefined) {
    throw new ChaosError(`a loader that was taken over ended with ${describe(woken)}`);
  }
  await job.end(second);
}

/** The first does not know that it is taken for dead, and holds the run's lock nearly all the time. */
async function takeOverAlive(job: Job): Promise<void> {
  const { random, tally } = job.arena;
  job.allowed.add(fenced);
  const first = job.launch({ batchRows: random.int(10, 30), workers: 8 });
  await job.begun(first);
  const second = job.launch({ wait: true });
  await second.ready;
  if (first.hasEnded) return;
  tally.inject('lost heartbeats');
  while (!first.hasEnded && !second.hasRun) {
    await job.query("UPDATE sluice.run SET heartbeat = now() - interval '1 minute' WHERE epoch = 1");
    await sleep(20);
  }
  await job.end(first);
  await job.end(second);
}
