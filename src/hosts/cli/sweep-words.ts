import type { Point } from '../../sweep/curve.js';
import type { Sample } from '../../sweep/sample.js';
import type { Sweep } from '../../sweep/sweep.js';
import { chart, type Drawing } from './sweep-chart.js';
import { count, counted, duration, size } from './words.js';

/** What a sweep found, for programs. */
export interface SweepResult {
  readonly status: 'sweep';
  readonly source: string;
  readonly sink: string;
  /** Milliseconds. */
  readonly roundTrip: number;
  /** Of the sample. */
  readonly rows: number;
  readonly bytes: number;
  readonly points: readonly SweptPoint[];
  /** Numbers of workers. */
  readonly best: number;
  readonly knee: number;
  /** What the gate came to, at the median; null when its loads failed. */
  readonly adaptive: { readonly workers: number; readonly batchBytes: number } | null;
  readonly failures: Sweep['failures'];
  readonly rejected: number;
  /** Null when it could not be written. */
  readonly svg: string | null;
}

interface SweptPoint extends Omit<Point, 'workers' | 'seconds' | 'rows'> {
  readonly workers: number | 'adaptive';
  /** For the whole sample, at the rate measured. */
  readonly seconds: number;
  /** Seconds that were measured. */
  readonly measured: number;
  /** Of the best fixed number's rate. */
  readonly ofBest: number;
}

/** The figures of a sweep. */
export function resultOf(
  { curve, chosen, failures, rejected }: Sweep,
  sample: Sample,
  about: Pick<SweepResult, 'source' | 'sink' | 'roundTrip' | 'svg'>,
): SweepResult {
  const swept = ({ workers, seconds, rows: _, ...point }: Point): SweptPoint => ({
    ...point,
    workers: workers ?? 'adaptive',
    seconds: sample.rows / point.rate,
    measured: seconds,
    ofBest: point.rate / curve.best.rate,
  });
  const middle = chosen.toSorted((a, b) => a.workers - b.workers)[chosen.length >> 1];
  return {
    status: 'sweep',
    source: about.source,
    sink: about.sink,
    roundTrip: about.roundTrip,
    rows: sample.rows,
    bytes: sample.bytes,
    points: [...curve.fixed, ...(curve.adaptive ? [curve.adaptive] : [])].map(swept),
    best: curve.best.workers ?? 1,
    knee: curve.knee.workers ?? 1,
    adaptive: middle ?? null,
    failures,
    rejected,
    svg: about.svg,
  };
}

export function drawingOf({ points, knee, adaptive, rows }: SweepResult): Drawing {
  const dots = points.flatMap(({ workers, seconds }) => (workers === 'adaptive' ? [] : [{ workers, seconds }]));
  const found = points.find(({ workers }) => workers === 'adaptive');
  return {
    fixed: dots,
    adaptive: found && adaptive ? { workers: adaptive.workers, seconds: found.seconds } : undefined,
    knee: dots.find(({ workers }) => workers === knee) ?? { workers: knee, seconds: 0 },
    title: `seconds for ${counted(rows, 'record')}`,
  };
}

/** What a sweep found, for a person: a table, the curve, and what to make of it. */
export function describeSweep(result: SweepResult): string {
  const { points, best, knee, adaptive, rows, bytes, failures, rejected } = result;
  const adaptively = points.find(({ workers }) => workers === 'adaptive');
  const lines = [
    `from     ${result.source}: ${counted(rows, 'record')} (${size(bytes)}) in memory`,
    `into     scratch copies beside ${result.sink}; round trip ${result.roundTrip.toFixed(result.roundTrip < 10 ? 2 : 1)} ms`,
    '',
    ...tableOf(points),
    '',
    chart(drawingOf(result)),
    '',
    `best     ${counted(best, 'worker')}`,
    `knee     ${counted(knee, 'worker')}: no other fixed number is more than 5 % faster`,
  ];
  if (adaptive && adaptively) {
    lines.push(
      `adaptive ${counted(adaptive.workers, 'worker')} in the end, batches of ${size(adaptive.batchBytes)} at most: ${percent(adaptively.ofBest)} of the best fixed number, its climb included`,
    );
  }
  const notes = [
    ...failures.map(
      ({ workers, message }) =>
        `failed with ${workers === undefined ? 'adaptive' : counted(workers, 'worker')}: ${message}`,
    ),
    ...(points.some(({ cut }) => cut)
      ? ['~: time was up before all was written; the seconds are reckoned from the rate']
      : []),
    ...(rejected > 0 ? [`${percent(rejected)} of the records were refused, and to find them took time`] : []),
    ...shortness(points),
  ];
  if (notes.length > 0) lines.push('', ...notes.map((note) => `note     ${note}`));
  if (result.svg !== null) lines.push(`svg      ${result.svg}`);
  return lines.join('\n');
}

/** Seconds a load, below which it tells little: the gate measures for some before it changes anything. */
const short = 3;

function shortness(points: readonly SweptPoint[]): string[] {
  const longest = Math.max(...points.map(({ measured, trials }) => measured / trials));
  if (longest >= short) return [];
  return [
    `the longest of these loads took ${duration(longest)}: too short to tell much, and for the gate to climb. More records (--rows), where there are more, tell more`,
  ];
}

function tableOf(points: readonly SweptPoint[]): string[] {
  const head = ['workers', 'seconds', 'rows/s', 'p99 a row', 'of best'];
  const rows = points.map(({ workers, seconds, rate, p99, ofBest, cut }) => [
    String(workers),
    `${cut ? '~' : ''}${seconds.toFixed(2)}`,
    count(rate),
    p99 < 1 ? `${count(p99 * 1000)} µs` : `${p99.toFixed(1)} ms`,
    percent(ofBest),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  return [head, ...rows].map((cells) => cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('   '));
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
