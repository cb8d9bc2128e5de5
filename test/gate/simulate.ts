import type { Limit } from '../../src/contract/index.js';
import { pauseBefore } from '../../src/flow/retry.js';
import { Limiter, type Permit } from '../../src/gate/limiter.js';
import { Random } from '../chaos/random.js';
import { Agenda } from './agenda.js';
import { type Behaviour, SimulatedServer } from './server.js';

/** A load as the simulator runs it. */
export interface Simulation {
  /** Made anew for each run: it may keep state. */
  behaviour(): Behaviour;
  /** Rows a millisecond that the source gives. Default: as many as are wanted. */
  readonly sourceRate?: number | ((now: number) => number);
  /** Milliseconds of virtual time, at most. */
  readonly duration: number;
  /** Rows in all. Default: no end. */
  readonly rows?: number;
  readonly bytesPerRow?: number;
}

/** A limit under test; with `batchBytes` it says how large batches are. */
export type TestedLimit = Limit & { readonly batchBytes?: number };

interface Landed {
  readonly at: number;
  readonly rows: number;
  /** From permit to answer. */
  readonly milliseconds: number;
}

/** What became of a load. */
export class Trace {
  readonly landed: Landed[] = [];
  readonly limits: { readonly at: number; readonly limit: number }[] = [];
  throttles = 0;
  /** Most batches in flight at once. */
  most = 0;
  endedAt = 0;

  /** Rows a second that landed within `[from, to)`, milliseconds. */
  throughput(from: number, to: number): number {
    let rows = 0;
    for (const batch of this.landed) if (batch.at >= from && batch.at < to) rows += batch.rows;
    return (rows / (to - from)) * 1000;
  }

  /** The time a row took that 99 of 100 rows did not exceed: its batch's, divided by the batch's rows. Milliseconds. */
  p99(from: number, to: number): number {
    const batches = this.landed
      .filter(({ at }) => at >= from && at < to)
      .map(({ rows, milliseconds }) => ({ rows, perRow: milliseconds / rows }))
      .sort((a, b) => b.perRow - a.perRow);
    let left = batches.reduce((sum, { rows }) => sum + rows, 0) * 0.01;
    for (const { rows, perRow } of batches) {
      left -= rows;
      if (left <= 0) return perRow;
    }
    return Number.NaN;
  }
}

/** Pauses as the writer makes them. */
const backoff = { first: 50, longest: 2_000, total: 60_000 };
const usualBatchBytes = 256 * 1024;

/**
 * Runs a load in virtual time through the very limiter that a real one goes through. `make` is given the clock. The same seed,
 * the same trace.
 */
export function simulate(simulation: Simulation, make: (now: () => number) => TestedLimit, seed = 1): Trace {
  const agenda = new Agenda();
  const limit = make(() => agenda.now);
  const limiter = new Limiter(limit, () => agenda.now);
  const server = new SimulatedServer(agenda, simulation.behaviour(), seed);
  const random = new Random(seed + 1);
  const trace = new Trace();
  const { sourceRate, bytesPerRow = 100, duration } = simulation;
  let rowsLeft = simulation.rows ?? Number.POSITIVE_INFINITY;
  let buffered = 0;
  let bufferedAt = 0;
  const idle: number[] = [];
  let connections = 0;
  let writing = 0;

  const note = () => {
    if (trace.limits.at(-1)?.limit !== limit.current) trace.limits.push({ at: agenda.now, limit: limit.current });
  };
  const read = () => {
    if (rowsLeft <= 0) return;
    const rows = Math.min(rowsLeft, Math.max(1, Math.floor((limit.batchBytes ?? usualBatchBytes) / bytesPerRow)));
    if (sourceRate === undefined) return dispatch(rows);
    const rate = typeof sourceRate === 'number' ? sourceRate : sourceRate(agenda.now);
    // A reader is a few batches ahead at most.
    buffered = Math.min(4 * rows, buffered + (agenda.now - bufferedAt) * rate);
    bufferedAt = agenda.now;
    if (buffered >= rows) {
      buffered -= rows;
      dispatch(rows);
    } else {
      agenda.after(Math.max(0.01, (rows - buffered) / rate), read);
    }
  };
  const dispatch = (rows: number) => {
    rowsLeft -= rows;
    limiter.request((permit) => {
      write(permit, rows);
      agenda.after(0, read);
    });
  };
  const write = (permit: Permit, rows: number) => {
    writing += 1;
    trace.most = Math.max(trace.most, writing);
    const startedAt = agenda.now;
    const bytes = rows * bytesPerRow;
    const attempt = (number: number) => {
      const connection = idle.pop() ?? connections++;
      server.write(connection, rows, bytes, (refusal) => {
        idle.push(connection);
        if (refusal === undefined) {
          writing -= 1;
          trace.landed.push({ at: agenda.now, rows, milliseconds: agenda.now - startedAt });
          trace.endedAt = agenda.now;
          permit.release({ rows, bytes, outcome: 'written' });
        } else {
          trace.throttles += 1;
          permit.setBack(refusal);
          agenda.after(
            pauseBefore(number, backoff, () => random.next()),
            () => attempt(number + 1),
          );
        }
        note();
      });
    };
    attempt(1);
  };

  note();
  read();
  agenda.runTo(duration);
  return trace;
}
