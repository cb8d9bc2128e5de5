import type { Predicted, Scratch, Source } from '../contract/index.js';
import { SluiceError } from '../errors.js';
import { forecast } from './forecast.js';
import { type Sample, sampleSource } from './sample.js';
import { rateOf, type Trial, tryOut, type WriteSide } from './trial.js';

/** Numbers of workers whose rate is shown beside that of the load. */
const points = [1, 4, 16];
/** Loads by which the forecast is made; one more before them warms the server up, and is not counted. */
const loads = 3;

/** What is to be measured, and with what. */
export interface ProbeRequest {
  readonly sample: Sample;
  readonly scratch: Scratch;
  readonly writeSide: WriteSide;
  /** As the job fixes it; undefined: as the gate finds it. */
  readonly workers: number | undefined;
  /** The job's source anew, for one load. */
  source(): Promise<Source>;
  /** Connections the server has free. */
  readonly free: number;
  /** Seconds a load at most. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  /** Called before each load, with what is measured. */
  onTrial?(what: string): void;
}

/** What a plan is made of. */
export interface Probe {
  /** Milliseconds. */
  readonly roundTrip: number;
  /** Rows a second that the source gives when nobody writes. */
  readonly sourceRate: number;
  /** Bytes a row, as the source counts them. */
  readonly rowBytes: number;
  /** One record a transaction, on one connection. */
  readonly oneByOne: { readonly rate: number; readonly seconds: number | null };
  /** Rows a second from memory, with so many workers. */
  readonly points: readonly { readonly workers: number; readonly rate: number }[];
  /** Rows a second of the whole load, from the source to the scratch copy. */
  readonly rates: readonly number[];
  readonly reckoned: boolean;
  /** Null when the number of rows is not known. */
  readonly predicted: Omit<Predicted, 'at'> | null;
  /** Batches in flight that the loads came to. */
  readonly workers: number;
}

/** Measures a job by short loads into scratch copies, most of all by loads of its very source, each for some seconds. */
export async function probe(request: ProbeRequest): Promise<Probe> {
  const { sample, scratch, writeSide, workers, free, seconds, signal, onTrial } = request;
  const fromMemory = (count: number, batchRows?: number): Promise<Trial> =>
    tryOut(sampleSource(sample), scratch, writeSide, {
      workers: count,
      seconds,
      signal,
      ...(batchRows !== undefined && { batchRows }),
    });
  const whole = async (): Promise<Trial> =>
    await tryOut(await request.source(), scratch, writeSide, { workers, seconds, signal });
  onTrial?.('the server warms up');
  const first = await whole();
  if (first.rejected === first.rows) {
    throw new SluiceError(
      'all-rejected',
      'each record of the first load was refused, so there is nothing to measure: try the job with --dry-run or --limit, and see its rejects',
    );
  }
  const roundTrip = await scratch.roundTrip(signal);
  onTrial?.('one record at a time');
  const single = rateOf(await fromMemory(1, 1));
  const measured: { workers: number; rate: number }[] = [];
  for (const count of points.filter((point) => point <= free)) {
    onTrial?.(count === 1 ? '1 worker' : `${count} workers`);
    measured.push({ workers: count, rate: rateOf(await fromMemory(count)) });
  }
  const trials: Trial[] = [];
  for (let load = 1; load <= loads; load++) {
    onTrial?.(`the whole load, ${load} of ${loads}`);
    trials.push(await whole());
  }
  const rates = trials.map(rateOf);
  const chosen = middle(trials.map(({ gate }) => gate.workers.end));
  const overhead = middle(trials.map((trial) => trial.overhead));
  const { limit } = writeSide;
  const total = limit === undefined ? sample.total : atMost(limit, sample.total);
  return {
    roundTrip,
    sourceRate: sample.rows / sample.seconds,
    rowBytes: sample.bytes / sample.rows,
    oneByOne: { rate: single, seconds: total ? total.rows / single : null },
    points: measured,
    rates,
    reckoned: total?.reckoned ?? false,
    predicted: total ? { ...forecast({ ...total, overhead, rates }), workers: chosen } : null,
    workers: chosen,
  };
}

/** Of a source whose size is not known, the job's limit is at least the most. */
function atMost(limit: number, total: Sample['total']): NonNullable<Sample['total']> {
  return total === undefined || total.rows > limit ? { rows: limit, reckoned: total === undefined } : total;
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
