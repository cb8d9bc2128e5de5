import type { Gate, GateEvent, Sample } from '../contract/index.js';
import { Gauge, type Reading } from './gauge.js';
import { type Knob, type Move, Schedule } from './moves.js';
import { tuning } from './tuning.js';

export interface AdaptiveOptions {
  /** What is found out; the other stays as it is at the start. Default: both. */
  readonly knobs?: readonly Knob[];
  /** Batches in flight. */
  readonly workers: { readonly start: number; readonly most: number };
  /** Bytes a batch; `inFlight`: of all of them together at most, as far as none has less than the least. */
  readonly batch: { readonly start: number; readonly least: number; readonly most: number; readonly inFlight: number };
  /** Milliseconds that a batch is to take at most: none is made larger than would fit, and what takes longer is made smaller. */
  readonly batchTime: number;
  readonly onEvent?: (event: GateEvent) => void;
}

/** Another setting, to see what comes of it. */
interface Trial {
  readonly move: Move;
  readonly from: number;
  readonly to: number;
  /** As it was before. */
  readonly bytes: number;
  readonly before: Reading;
  readonly startedAt: number;
}

/** Throughput gained, as a share of what it was, and the standard error of that. */
interface Gain {
  readonly share: number;
  readonly error: number;
}

/** What a trial has shown. `changed`: that something else is not as it was. `idle`: nothing, for the source was the slow part. */
type Verdict = 'kept' | 'refused' | 'changed' | 'idle';

/**
 * Finds how many batches in flight, and how large ones, the target takes most rows a second from, with no more than that needs;
 * and goes on looking.
 *
 * It climbs by trials. Throughput is measured, one knob is turned, throughput is measured again, and the better is kept. The
 * published limits judge by latency: TCP Vegas (Brakmo and Peterson, IEEE JSAC 13(8), 1995) and the Vegas and Gradient2 limits of
 * Netflix's concurrency-limits hold where it begins to rise. A database whose commits share a flush of its log does more the more
 * there are, while each takes longer, so that they would hold far too early. Throughput is therefore the judge, as for BBR (Cardwell
 * et al., ACM Queue 14(5), 2016), of which are the doubling at the start for as long as it pays, the bytes in flight as the thing to
 * find, and the short look upwards from time to time ever after; and as for the thread pool of .NET (Hellerstein et al., 2008), of which is to hold out for a gain that
 * noise can't explain. When the target turns a batch away the number in flight is halved (AIMD: Chiu and Jain, Computer Networks
 * and ISDN Systems 17(1), 1989), and the number that was too many is remembered for a while, as CUBIC does (RFC 9438).
 */
export class AdaptiveGate implements Gate {
  readonly #options: AdaptiveOptions;
  readonly #knobs: readonly Knob[];
  readonly #schedule: Schedule;
  readonly #gauge = new Gauge();
  #workers: number;
  /** Bytes of all batches in flight together: the more there are, the smaller each is. */
  #bytes: number;
  #trial: Trial | undefined;
  /** At the present setting, smoothed. */
  #usual: Reading | undefined;
  /** Readings in a row that were unlike the usual. */
  #surprises = 0;
  /** How it was before the rate changed by itself. */
  #past: { readonly workers: number; readonly rate: number; readonly until: number } | undefined;
  /** Nothing has been refused yet, since the start or since things changed. */
  #climbing = true;
  /** Batches started before this were there when the target turned one away. */
  #cutAt = Number.NEGATIVE_INFINITY;
  /** As many as the target took when it turned others away, and until when that counts. */
  #ceiling = { workers: Number.POSITIVE_INFINITY, until: Number.NEGATIVE_INFINITY };
  #ceilingRest: number = tuning.ceiling.first;

  constructor(options: AdaptiveOptions) {
    const { workers, batch, knobs = ['workers', 'batch'] } = options;
    this.#options = options;
    this.#knobs = knobs;
    this.#schedule = new Schedule(knobs);
    this.#workers = Math.max(1, Math.min(workers.start, workers.most));
    this.#bytes = batch.start * this.#workers;
  }

  get current(): number {
    return this.#workers;
  }

  get batchBytes(): number {
    const { least, most, inFlight } = this.#options.batch;
    return Math.max(least, Math.min(most, Math.floor(Math.min(this.#bytes, inFlight) / this.#workers)));
  }

  onSample(sample: Sample): void {
    if (sample.outcome === 'throttled') this.#turnedAway(sample);
    if (sample.outcome !== 'written') return;
    const { rounds, windowTime } = this.#pace;
    const before = this.#trial?.before.rate;
    const expected = before ? ((rounds + 1) * this.#workers * sample.rows) / before : Number.POSITIVE_INFINITY;
    const reading = this.#gauge.add(sample, {
      batches: Math.max(
        4,
        (sample.endedAt - sample.startedAt > tuning.longBatch ? rounds / 2 : rounds) * this.#workers,
      ),
      time: windowTime,
      patience: Math.max(windowTime, 2 * expected),
      sure: (rate, error) => this.#sure(rate, error),
      alarming: (rate, error) => this.#alarming(rate, error),
    });
    if (reading === undefined) return;
    if (this.#trial) this.#judge(this.#trial, reading, sample.endedAt);
    else this.#steady(reading, sample.endedAt);
  }

  get #pace() {
    return this.#climbing ? tuning.climb : tuning.steady;
  }

  #sure(rate: number, error: number): boolean {
    if (this.#trial === undefined) return error <= tuning.firstError;
    const { before, move } = this.#trial;
    const gain = gainOf(before, { rate, error });
    return gain.error <= this.#pace.error || Math.abs(gain.share - wanted(move)) > 3 * gain.error;
  }

  /** Much less is done than was a moment ago. */
  #alarming(rate: number, error: number): boolean {
    if (this.#trial !== undefined || this.#usual === undefined) return false;
    return rate < (1 - 2 * tuning.shift) * this.#usual.rate && error < 0.2;
  }

  #turnedAway({ startedAt, endedAt, retried, reason = 'throttled' }: Sample): void {
    if (!this.#knobs.includes('workers')) return;
    if (startedAt < this.#cutAt) {
      // Another of the same burst: what is left of them all is what the target takes.
      if (!retried && this.#ceiling.workers > this.#workers) this.#ceiling.workers -= 1;
      return;
    }
    const from = this.#workers;
    this.#trial = undefined;
    this.#cutAt = endedAt;
    this.#ceiling = { workers: Math.max(1, from - 1), until: endedAt + this.#ceilingRest };
    this.#ceilingRest = Math.min(tuning.ceiling.longest, 2 * this.#ceilingRest);
    const { batchBytes } = this;
    this.#set('workers', Math.max(1, Math.floor(from / 2)), endedAt);
    this.#bytes = batchBytes * this.#workers;
    if (this.#workers !== from) this.#tell('change', 'workers', from, this.#workers, reason, endedAt);
    this.#again();
    this.#schedule.plan(Schedule.move('workers', false), endedAt + tuning.rest, tuning.stride);
  }

  /** A reading while nothing is tried. */
  #steady(reading: Reading, now: number): void {
    if (!reading.saturated) {
      this.#usual = undefined;
      return;
    }
    const drift = this.#usual === undefined ? 0 : Math.abs(reading.rate / this.#usual.rate - 1);
    if (drift > tuning.shift) {
      this.#surprises += 1;
      if (this.#surprises >= 2 || drift > 2 * tuning.shift) this.#changed(reading, now);
      return;
    }
    this.#surprises = 0;
    this.#usual = this.#usual === undefined ? reading : blend(this.#usual, reading);
    if (!this.#shorten(reading, now)) this.#try(this.#usual, now);
  }

  /** The first move that is due and possible. */
  #try(before: Reading, now: number): void {
    const due = this.#schedule.due(now, this.#climbing ? before.median : undefined);
    if (!due.some(({ knob }) => knob === 'workers')) this.#climbing = false;
    for (const move of due) {
      const from = move.knob === 'workers' ? this.#workers : this.batchBytes;
      const to = this.#target(move, this.#schedule.stride(move, before.median), before, now);
      if (to === from) continue;
      this.#trial = { move, from, to, bytes: this.#bytes, before, startedAt: now };
      const longest = this.batchBytes * Math.max(1, this.#options.batchTime / before.median);
      this.#set(move.knob, to, now);
      // Fewer in flight are larger ones, but none is to take too long.
      if (move.knob === 'workers') this.#bytes = Math.min(this.#bytes, Math.floor(longest * to));
      return;
    }
  }

  /** Where a move leads; where the knob stands now when it leads nowhere. */
  #target({ knob, up }: Move, stride: number, { median }: Reading, now: number): number {
    const { batch, batchTime } = this.#options;
    const workers = this.#workers;
    const limited = now < this.#ceiling.until;
    if (knob === 'workers') {
      if (!up) return Math.max(1, Math.min(workers - 1, Math.round(workers / stride)));
      const most = limited ? Math.min(this.#ceiling.workers, this.#options.workers.most) : this.#options.workers.most;
      return Math.max(workers, Math.min(most, Math.max(workers + 1, Math.round(workers * stride))));
    }
    const from = this.batchBytes;
    // Less than a tenth is not worth a trial; where batches are turned away, larger ones would be too.
    if (!up) return from / batch.least > 1.1 ? Math.max(batch.least, Math.floor(from / stride)) : from;
    const bound = Math.min(batch.most, batch.inFlight / workers, from * Math.max(1, batchTime / median));
    return bound / from > 1.1 && !limited ? Math.floor(Math.min(bound, from * stride)) : from;
  }

  #judge(trial: Trial, reading: Reading, now: number): void {
    const { move, from, to, before } = trial;
    const gain = gainOf(before, reading);
    const verdict = verdictOf(trial, reading, gain, this.#climbing);
    this.#trial = undefined;
    const reason = verdict === 'idle' ? 'the source is the slow part' : `throughput ${percent(gain.share)}`;
    this.#tell(verdict === 'kept' ? 'change' : 'trial', move.knob, from, to, reason, now);
    if (verdict === 'kept') {
      this.#usual = reading;
      this.#planOnward(trial, gain.share, now);
    } else {
      this.#set(move.knob, from, now);
      this.#bytes = trial.bytes;
      this.#usual = before;
      this.#planAgain(trial, gain, now);
    }
    if (verdict === 'changed') this.#changed(reading, now);
    else if (verdict === 'idle' || (verdict === 'refused' && gain.share < -tuning.shift)) return;
    else if (!(verdict === 'kept' && this.#shorten(reading, now))) this.#try(this.#usual, now);
  }

  /** After a trial that was kept: further the same way, and when to look back. */
  #planOnward({ move, from, to }: Trial, gained: number, now: number): void {
    const { loss, longStride, stride, restMore, rest, longestRest } = tuning;
    const paid = move.up ? gained >= 0.5 * (to / from - 1) : gained >= -loss / 2;
    // A long stride that gained little may have gone past the best.
    const past = move.up && !paid && to / from > stride * 1.1;
    // One in flight leaves the target idle until the next has come, nearly everywhere: that can wait, unless fewer gained much.
    const toOne = move.knob === 'workers' && !move.up && to === 2 && gained < tuning.shift;
    this.#schedule.plan(move, now + (toOne ? longestRest : past ? restMore : 0), paid ? longStride : stride);
    this.#schedule.plan(Schedule.opposite(move), now + (move.up ? (paid ? rest : 0) : restMore), stride);
  }

  /** After a trial that was taken back: again at once with a shorter stride, for which a climb has no time, or later. */
  #planAgain({ move, from, to, before, startedAt }: Trial, { share: gained, error }: Gain, now: number): void {
    const { loss, longStride, stride, restMore, restManyMore, rest, longestRest, cost } = tuning;
    const shorter = !this.#climbing && gained < -loss && this.#target(move, stride, before, now) !== to;
    // No more than it has surely cost: one that only seemed to is tried again soon.
    const lost = ((now - startedAt) * Math.max(0, -gained - tuning.gain - error)) / cost;
    const usual = move.up ? (to / from > 1.45 ? restManyMore : restMore) : rest;
    this.#schedule.plan(move, shorter ? now : now + Math.max(usual, Math.min(lost, longestRest)), stride);
    if (!this.#climbing || !move.up || move.knob !== 'workers') return;
    // Where more gains nothing, much less may do.
    const back = Schedule.opposite(move);
    this.#schedule.plan(back, this.#schedule.dueAt(back), longStride);
  }

  /** Smaller batches, when they take too long. */
  #shorten({ median }: Reading, now: number): boolean {
    const { batchTime, batch } = this.#options;
    const from = this.batchBytes;
    const to = Math.max(batch.least, Math.floor(from * Math.max(0.5, batchTime / median)));
    if (!this.#knobs.includes('batch') || median <= batchTime || to >= from) return false;
    this.#set('batch', to, now);
    this.#usual = undefined;
    this.#tell('change', 'batch', from, to, `a batch took ${(median / 1000).toFixed(1)} s`, now);
    return true;
  }

  /** The rate is another. When it is what it was before it last changed, so is the rest: that was a pause. */
  #changed(reading: Reading, now: number): void {
    const past = this.#past;
    const usual = this.#usual;
    this.#past = usual && { workers: this.#workers, rate: usual.rate, until: now + tuning.memory };
    this.#again();
    if (past !== undefined && now <= past.until && Math.abs(reading.rate / past.rate - 1) <= tuning.shift) {
      this.#past = undefined;
      if (past.workers === this.#workers) return;
      this.#tell('change', 'workers', this.#workers, past.workers, 'throughput is back to what it was', now);
      this.#set('workers', past.workers, now);
    } else if (usual !== undefined && reading.rate < usual.rate) {
      // Too many for what is left, or too few for a longer line? Fewer hurt less where that is wrong.
      this.#schedule.plan(Schedule.move('workers', false), now, tuning.longStride);
      this.#schedule.plan(Schedule.move('workers', true), now + 1, tuning.longStride);
      this.#usual = reading;
      this.#try(reading, now);
    }
  }

  /** Things have changed: what was found before is worth nothing. */
  #again(): void {
    this.#schedule.clear();
    this.#surprises = 0;
    this.#climbing = true;
    this.#usual = undefined;
  }

  #set(knob: Knob, value: number, now: number): void {
    // Fewer are not begun before enough of the others have ended; of more, the first run beside those of before.
    const settling = knob === 'workers' && value < this.#workers ? 0 : 1;
    if (knob === 'batch') this.#bytes = value * this.#workers;
    else {
      // Where the size of a batch is not ours to find, it stays.
      if (!this.#knobs.includes('batch')) this.#bytes = this.batchBytes * value;
      this.#workers = value;
    }
    this.#gauge.restart(now, settling);
  }

  #tell(kind: GateEvent['kind'], of: Knob, from: number, to: number, reason: string, at: number): void {
    this.#options.onEvent?.({ at, kind, of, from, to, reason });
  }
}

type Rated = Pick<Reading, 'rate' | 'error'>;

function gainOf(before: Rated, after: Rated): Gain {
  return { share: after.rate / before.rate - 1, error: Math.hypot(after.error, before.error) };
}

/** What a trial must have gained at least. Fewer in flight are better where they do as much; smaller batches are not. */
function wanted({ knob, up }: Move): number {
  if (up) return tuning.gain;
  return knob === 'workers' ? -tuning.loss : tuning.loss;
}

function verdictOf(
  { move, from, to }: Trial,
  { saturated }: Reading,
  { share: gained, error }: Gain,
  climbing: boolean,
): Verdict {
  if (!saturated) return 'idle';
  if (!move.up) {
    const doubt = climbing && move.knob === 'workers' ? Math.min(error, tuning.doubt.fewer) : 0;
    return gained >= wanted(move) - doubt ? 'kept' : 'refused';
  }
  // Twice as many in flight do no more than twice as much: something else has changed. The first reading is the least sure.
  const possible = (climbing ? 2 : 1) * ((to / from - 1) * 1.25 + 0.15);
  if (gained > possible + 2 * error) return 'changed';
  return gained >= Math.max(wanted(move), (climbing ? tuning.doubt.climb : tuning.doubt.steady) * error)
    ? 'kept'
    : 'refused';
}

function blend(old: Reading, fresh: Reading): Reading {
  const share = Math.max(0.3, old.error ** 2 / Math.max(1e-9, old.error ** 2 + fresh.error ** 2));
  const rate = old.rate + share * (fresh.rate - old.rate);
  return { ...fresh, rate, error: Math.hypot((1 - share) * old.error, share * fresh.error) };
}

function percent(share: number): string {
  const whole = Math.round(share * 100);
  return `${whole < 0 ? '-' : '+'}${Math.abs(whole)} %`;
}
