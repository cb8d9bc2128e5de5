import type { Snapshot } from '../../contract/index.js';
import { coarse, count, counted, size } from './words.js';

/** How fast a run goes of late. */
export interface Pace {
  readonly seconds: number;
  readonly settled: number;
  readonly bytes: number;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Rates forget what is older than about this many seconds: batches arrive in gusts. */
const memory = 2;

/** The pace after one more snapshot: an exponentially weighted average over time. */
export function advance(pace: Pace | undefined, { seconds, settled, bytes }: Snapshot): Pace {
  if (!pace) {
    const elapsed = Math.max(seconds, 1e-3);
    return { seconds, settled, bytes, rowsPerSecond: settled / elapsed, bytesPerSecond: bytes / elapsed };
  }
  const elapsed = seconds - pace.seconds;
  if (elapsed <= 0) return pace;
  // At first the plain average since the start, which has less to forget.
  const weight = Math.max(1 - Math.exp(-elapsed / memory), elapsed / seconds);
  const blend = (old: number, amount: number) => old + weight * (amount / elapsed - old);
  return {
    seconds,
    settled,
    bytes,
    rowsPerSecond: blend(pace.rowsPerSecond, settled - pace.settled),
    bytesPerSecond: blend(pace.bytesPerSecond, bytes - pace.bytes),
  };
}

/** How far a run is. */
export interface Outlook {
  /** Rows there will be, exactly or by the share of the source that was read. */
  readonly rows: number;
  readonly exact: boolean;
  /** 0..1 */
  readonly share: number;
  /** Undefined while nothing moves. */
  readonly secondsLeft: number | undefined;
}

/** Less than this share of a source is too little to judge the whole by. */
const leastShare = 0.001;
/** An end further away than this many seconds is no forecast. */
const farthest = 30 * 24 * 3600;

/** What is still to come, where the source lets us know. `limit` is the most records the job wants. */
export function outlook(snapshot: Snapshot, pace: Pace, limit = Number.POSITIVE_INFINITY): Outlook | undefined {
  const { settled, read, totalRows, shareRead } = snapshot;
  const exact = totalRows !== undefined;
  const judged = read > 0 && shareRead !== undefined && shareRead >= leastShare;
  const expected = exact ? totalRows : judged ? read / shareRead : undefined;
  if (expected === undefined) return undefined;
  const rows = Math.max(Math.min(expected, limit), settled);
  const secondsLeft = rows === settled ? 0 : (rows - settled) / pace.rowsPerSecond;
  return {
    rows,
    exact,
    share: rows === 0 ? 1 : settled / rows,
    secondsLeft: secondsLeft <= farthest ? secondsLeft : undefined,
  };
}

/** A piece of the progress line; of those that don't fit, the highest rank goes first. */
interface Piece {
  readonly text: string;
  readonly rank: number;
}

const barWidth = 20;

/** One line, at most `width` columns wide: what is done, how fast, how far. */
export function renderProgress(snapshot: Snapshot, pace: Pace, options: { limit?: number; width?: number }): string {
  const { width = Number.POSITIVE_INFINITY, limit } = options;
  const ahead = outlook(snapshot, pace, limit);
  const pieces: Piece[] = [];
  if (ahead) {
    const filled = Math.floor(ahead.share * barWidth);
    pieces.push({ text: '█'.repeat(filled) + '░'.repeat(barWidth - filled), rank: 8 });
    pieces.push({ text: `${Math.floor(ahead.share * 100)}%`, rank: 1 });
  }
  const rows = ahead?.exact ? `${count(snapshot.settled)} of ${counted(ahead.rows, 'row')}` : undefined;
  pieces.push(
    { text: rows ?? counted(snapshot.settled, 'row'), rank: 0 },
    { text: `${count(pace.rowsPerSecond)} rows/s`, rank: 2 },
    { text: `${size(pace.bytesPerSecond)}/s`, rank: 5 },
    { text: `${snapshot.inFlight}/${snapshot.workers} in flight`, rank: 6 },
    { text: counted(snapshot.retries, 'retry', 'retries'), rank: snapshot.retries > 0 ? 4 : 9 },
    { text: `${count(snapshot.rejected)} rejected`, rank: snapshot.rejected > 0 ? 3 : 7 },
  );
  if (ahead?.secondsLeft) pieces.push({ text: `ETA ${coarse(ahead.secondsLeft)}`, rank: 2 });
  if (snapshot.gateChange !== undefined) pieces.push({ text: snapshot.gateChange, rank: 10 });
  return fitted(pieces, width);
}

function fitted(pieces: readonly Piece[], width: number): string {
  let kept = pieces;
  let line = join(kept);
  while (line.length > width && kept.length > 1) {
    const highest = Math.max(...kept.map(({ rank }) => rank));
    kept = kept.filter(({ rank }) => rank !== highest);
    line = join(kept);
  }
  return line.slice(0, width);
}

function join(pieces: readonly Piece[]): string {
  return pieces.map(({ text }) => text).join('  ');
}
