import type pg from 'pg';
import type { Checkpoint, RunRequest } from '../../contract/index.js';
import { codeOf, SinkError } from '../../errors.js';
import { checkpointOf, latest, noRun, type RunRow, runColumns } from './ledger-runs.js';

/** SQLSTATE of a lock that was waited for as long as it may be. */
const lockNotAvailable = '55P03';

/**
 * Within a transaction: starts a run, or takes one over. One beginning at a time for a job, so that of two that start together one
 * sees the other. `busy` when a dead holder's transaction, told to end, has not ended yet.
 */
export async function beginRun(client: pg.Client, request: RunRequest): Promise<Checkpoint | 'busy'> {
  await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('sluice job ' || $1, 0))`, [request.job]);
  const { rows: running } = await client.query<RunRow>(
    `SELECT ${runColumns} FROM sluice.run WHERE job = $1 AND status = 'running'`,
    [request.job],
  );
  // Begun before, and the answer was lost.
  const own = running.find(({ holder }) => holder === request.holder);
  if (own !== undefined) return await checkpointOf(client, own, own.run !== request.run);
  const found = request.resume === 'no' ? undefined : await latest(client, request.job, request.resume);
  if (found === undefined) noRun(request.resume);
  for (const other of running) if (other.fresh && request.mayBeAlive(other.holder)) throw held(other);
  let taken: RunRow | undefined;
  for (const run of new Set([...running, ...(found ? [found] : [])].map((row) => row.run))) {
    const row = await fenceOff(client, run);
    if (row === 'busy') return 'busy';
    if (run === found?.run) taken = row;
  }
  if (taken === undefined) {
    await client.query(
      `INSERT INTO sluice.run (run, job, epoch, status, source, sink, columns, fingerprints, holder)
VALUES ($1, $2, 1, 'running', $3, $4, $5, $6, $7)`,
      [
        request.run,
        request.job,
        request.source,
        request.sink,
        JSON.stringify(request.columns),
        JSON.stringify(request.fingerprints),
        request.holder,
      ],
    );
    const { columns, fingerprints } = request;
    return {
      run: request.run,
      resumed: false,
      ended: undefined,
      epoch: 1,
      spans: [],
      rejected: 0,
      columns,
      fingerprints,
    };
  }
  await client.query(
    `UPDATE sluice.run SET status = 'running', holder = $2, held_since = now(), heartbeat = now(), finished = NULL WHERE run = $1`,
    [taken.run, request.holder],
  );
  return await checkpointOf(client, { ...taken, epoch: taken.epoch + 1 }, true);
}

/**
 * Raises the epoch of a run under its lock, so that no batch of a former holder commits from now on. Those that are on
 * their way hold the lock: nobody waits for them any more, and they are ended. A holder that lives and writes takes the
 * lock again at once; in the queue for it, we are before him. Resolves to the run as it was left, which is not what it
 * was before the lock: the former holder may have finished it in between. `busy` when the lock could not be had yet.
 */
async function fenceOff(client: pg.Client, run: string): Promise<RunRow | 'busy'> {
  const { rows } = await client.query<{ free: boolean }>(
    'SELECT pg_try_advisory_xact_lock(sluice.lock_key($1)) AS free',
    [run],
  );
  if (rows[0]?.free !== true) {
    await endHolders(client, run);
    if (!(await queueForLock(client, run))) return 'busy';
  }
  const { rows: left } = await client.query<RunRow>(`SELECT ${runColumns} FROM sluice.run WHERE run = $1 FOR UPDATE`, [
    run,
  ]);
  const [row] = left;
  if (row === undefined) return 'busy';
  await client.query(
    `UPDATE sluice.run SET epoch = epoch + 1, status = CASE status WHEN 'running' THEN 'failed' ELSE status END WHERE run = $1`,
    [run],
  );
  return row;
}

/** False when its holders have not let go within a moment. */
async function queueForLock(client: pg.Client, run: string): Promise<boolean> {
  await client.query('SAVEPOINT queueing; SET LOCAL lock_timeout = 1000');
  try {
    await client.query('SELECT pg_advisory_xact_lock(sluice.lock_key($1))', [run]);
    await client.query('SET LOCAL lock_timeout = 0');
    return true;
  } catch (error) {
    if (codeOf(error) !== lockNotAvailable) throw error;
    await client.query('ROLLBACK TO SAVEPOINT queueing');
    return false;
  }
}

/** Where the role may not end another's connection, its transaction is waited for. */
async function endHolders(client: pg.Client, run: string): Promise<void> {
  await client.query('SAVEPOINT ending');
  try {
    await client.query(
      `SELECT pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l, (SELECT sluice.lock_key($1) AS key) k
WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = k.key`,
      [run],
    );
  } catch (error) {
    if (codeOf(error) !== '42501') throw error;
    await client.query('ROLLBACK TO SAVEPOINT ending');
  }
}

function held({ run, holder, held_since, heartbeat }: RunRow): SinkError {
  return new SinkError(
    'job-held',
    `this job is being run by ${holder} since ${held_since.toISOString()} (run ${run}, last heard of ${heartbeat.toISOString()})`,
  );
}
