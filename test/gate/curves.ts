import { Random } from '../chaos/random.js';
import type { Behaviour } from './server.js';
import type { Simulation } from './simulate.js';

/** A load that a limit is tested with. */
export interface Curve extends Simulation {
  readonly name: string;
  /** When it changes for good, if it does: milliseconds. */
  readonly changesAt?: number;
  /**
   * Where batches that adapt miss an aim: the share of the best fixed count's rows that is reached (aim: 0.9), and from a start at
   * one (aim: 0.8); and the times of its p99 a row that are kept to (aim: 2). To be taken out, not to be added to.
   */
  readonly missed?: { readonly share?: number; readonly fromOne?: number; readonly p99?: number };
}

const minute = 60_000;
/** 400,000 rows a second and core. */
const work = { workPerBatch: 0.5, workPerRow: 0.0025, spread: 0.3 };
const near = { ...work, roundTrip: 0.1, connect: 5 };
const far = { ...work, roundTrip: 30, connect: 5 };

/** A slower machine: 100,000 rows a second and core. */
const slow = { ...near, workPerBatch: 2, workPerRow: 0.01 };

/** One of two cores: 80,000 rows a second and core, so that the largest batches take half a second. */
const small = { workPerBatch: 3, workPerRow: 0.0125, spread: 0.3, connect: 10 };

/** As small, but rows are merged: nearly twice the work, more round trips, and batches of a second. */
const merge = { workPerBatch: 5, workPerRow: 0.022, trips: 4, spread: 0.3, connect: 10 };

const cores = (count: number) => (active: number) => Math.min(active, count);

/** As cores, but each batch beyond the knee costs all of them something. */
const thrashing = (knee: number, cost: number) => (active: number) =>
  Math.min(active, knee) / (1 + cost * Math.max(0, active - knee));

const steady = (name: string, behaviour: Behaviour, rest: Partial<Curve> = {}): Curve => ({
  name,
  duration: minute,
  behaviour: () => behaviour,
  ...rest,
});

/** True in spells drawn at random, `on` and `off` milliseconds long on average. */
function spells(seed: number, on: number, off: number): (now: number) => boolean {
  const random = new Random(seed);
  let until = 0;
  let within = true;
  return (now) => {
    while (now >= until) {
      within = !within;
      until += (within ? on : off) * (0.5 + random.next());
    }
    return within;
  };
}

/** What databases do, each by itself. */
export const curves: readonly Curve[] = [
  steady('flat, near', { ...near, capacity: cores(4) }),
  steady('flat, far', { ...far, capacity: cores(4) }),
  steady('flat, far, many cores', { ...far, capacity: cores(32) }),
  steady('one core', { ...near, capacity: cores(1) }),
  steady('falling beyond 12', { ...near, capacity: thrashing(12, 0.05) }),
  steady('falling steeply beyond 6', { ...near, capacity: thrashing(6, 0.15) }),
  steady('falling beyond 24, far', { ...far, capacity: thrashing(16, 0.1) }),
  steady('soft knee', { ...slow, capacity: (active) => active / (1 + active / 16) }),
  steady('group commit', { ...near, capacity: cores(16), flush: 12 }, { missed: { share: 0.85 } }),
  steady('group commit, far', { ...far, capacity: cores(8), flush: 12 }),
  steady('bandwidth, far', { ...far, capacity: cores(16), bandwidth: 12_000 }),
  steady('two slow cores, near', { ...small, roundTrip: 0.1, capacity: thrashing(2, 0.02) }),
  steady('two slow cores, 2 ms', { ...small, roundTrip: 2, capacity: thrashing(2, 0.02) }),
  steady('two slow cores, far', { ...small, roundTrip: 30, capacity: thrashing(2, 0.02) }),
  steady('two slow cores, far, narrow', { ...small, roundTrip: 30, bandwidth: 10_000, capacity: thrashing(2, 0.02) }),
  steady('a merge on two slow cores, far, narrow', {
    ...merge,
    roundTrip: 30,
    bandwidth: 10_000,
    capacity: thrashing(2, 0.02),
  }),
  steady('uneven batches', { ...near, spread: 0.9, capacity: cores(10) }),
  steady(
    'noisy neighbour',
    { ...near, capacity: () => 0 },
    {
      behaviour: () => {
        const there = spells(7, 2_000, 5_000);
        return { ...near, capacity: (active, now) => Math.min(active, 12) * (there(now) ? 0.4 : 1) };
      },
    },
  ),
  steady('checkpoints', {
    ...near,
    capacity: (active, now) => Math.min(active, 10) * (now % 12_000 > 10_500 ? 0.05 : 1),
  }),
  steady('refuses the 21st', {
    ...slow,
    capacity: cores(30),
    refuse: (admitted) => (admitted >= 20 ? '53300 too_many_connections' : undefined),
  }),
  steady(
    'a quota of rows',
    { ...near, capacity: cores(30) },
    {
      behaviour: () => {
        let tokens = 0;
        let filledAt = 0;
        return {
          ...near,
          roundTrip: 5,
          capacity: cores(30),
          refuse(_admitted, rows, now) {
            tokens = Math.min(200_000, tokens + (now - filledAt) * 1_500);
            filledAt = now;
            if (tokens < rows) return 'throttled';
            tokens -= rows;
            return undefined;
          },
        };
      },
    },
  ),
  steady(
    'grows while it is busy',
    { ...near, capacity: cores(1) },
    {
      behaviour: () => {
        let units = 2;
        return {
          ...slow,
          roundTrip: 2,
          capacity: (active) => Math.min(active, units),
          tick(active) {
            // A fifth more a second while three quarters of what it has are in use.
            units = active >= 0.75 * units ? Math.min(32, units * 1.2 ** 0.01) : Math.max(2, units * 0.95 ** 0.01);
          },
        };
      },
      missed: { fromOne: 0.75 },
    },
  ),
  steady('a slow source', { ...near, capacity: cores(8) }, { sourceRate: 800 }),
  steady(
    'capacity falls',
    { ...slow, capacity: (active, now) => Math.min(active, now < 30_000 ? 24 : 4) },
    { changesAt: 30_000 },
  ),
  steady(
    'capacity rises',
    { ...slow, capacity: (active, now) => Math.min(active, now < 30_000 ? 4 : 24) },
    { changesAt: 30_000 },
  ),
  steady(
    'capacity falls, and more hurts',
    { ...slow, capacity: (active, now) => thrashing(now < 30_000 ? 24 : 5, 0.1)(active) },
    { changesAt: 30_000 },
  ),
  steady(
    'the line becomes long',
    { ...near, roundTrip: (now) => (now < 30_000 ? 0.5 : 30), capacity: cores(6) },
    { changesAt: 30_000 },
  ),
  steady(
    'the line becomes short',
    { ...near, roundTrip: (now) => (now < 30_000 ? 30 : 0.5), capacity: thrashing(6, 0.02) },
    { changesAt: 30_000 },
  ),
];
