import { Random } from '../chaos/random.js';
import type { Agenda } from './agenda.js';

/** What a simulated server does with batches. Times in milliseconds, work in milliseconds of one unhurried core. */
export interface Behaviour {
  /** There and back; a tenth of it comes and goes. */
  readonly roundTrip: number | ((now: number) => number);
  /** Round trips a batch takes. Default 2. */
  readonly trips?: number;
  /** What a connection costs before its first batch, besides three round trips. Default 0. */
  readonly connect?: number;
  /** Bytes a millisecond that all batches share on their way there. Default: no bound. */
  readonly bandwidth?: number;
  /** Work a batch costs, whatever its size. */
  readonly workPerBatch: number;
  readonly workPerRow: number;
  /** Work done a millisecond for `active` batches at once, each of which is given the same share. */
  capacity(active: number, now: number): number;
  /** Milliseconds of a flush of the log, a fifth more or less, that commits all who wait for one. Default: none is needed. */
  readonly flush?: number;
  /** Spread of a batch's work, as a share: 0.2 draws from 0.8 to 1.2. */
  readonly spread?: number;
  /** Why a batch is turned away, if it is; `admitted` are those within. */
  refuse?(admitted: number, rows: number, now: number): string | undefined;
  /** Called every 10 ms with the batches at work. */
  tick?(active: number, now: number): void;
}

interface Job {
  /** Service each active batch must have been given when this one is done. */
  readonly target: number;
  readonly done: () => void;
}

/** Processor sharing, then group commit: a server of which only the behaviour is told. */
export class SimulatedServer {
  readonly #agenda: Agenda;
  readonly #behaviour: Behaviour;
  readonly #random: Random;
  #connections = 0;
  #admitted = 0;
  #lineFreeAt = 0;
  #jobs: Job[] = [];
  /** Service given to each batch that was there from the beginning. */
  #service = 0;
  #servedAt = 0;
  /** Of appointments for the next job's end only the latest counts. */
  #appointment = 0;
  #flushing = false;
  #uncommitted: (() => void)[] = [];

  constructor(agenda: Agenda, behaviour: Behaviour, seed: number) {
    this.#agenda = agenda;
    this.#behaviour = behaviour;
    this.#random = new Random(seed);
    const tick = () => {
      this.#advance();
      behaviour.tick?.(this.#jobs.length, agenda.now);
      this.#appoint();
      agenda.after(10, tick);
    };
    agenda.after(10, tick);
  }

  /** `connection` counts from 0; the first batch on each waits until it is made. `answered` gets the reason of a refusal. */
  write(connection: number, rows: number, bytes: number, answered: (refusal?: string) => void): void {
    const { trips = 2, connect = 0, bandwidth } = this.#behaviour;
    const roundTrip = this.#roundTrip;
    const cold = connection >= this.#connections;
    if (cold) this.#connections = connection + 1;
    const outward = roundTrip / 2 + (trips - 1) * roundTrip;
    const arrived = () => this.#arrive(rows, (refusal) => this.#agenda.after(roundTrip / 2, () => answered(refusal)));
    this.#agenda.after(cold ? connect + 3 * roundTrip : 0, () => {
      if (bandwidth === undefined) return this.#agenda.after(outward, arrived);
      this.#lineFreeAt = Math.max(this.#lineFreeAt, this.#agenda.now) + bytes / bandwidth;
      this.#agenda.at(this.#lineFreeAt + outward, arrived);
    });
  }

  get #roundTrip(): number {
    const { roundTrip } = this.#behaviour;
    const usual = typeof roundTrip === 'number' ? roundTrip : roundTrip(this.#agenda.now);
    return usual * (0.95 + 0.2 * this.#random.next());
  }

  #arrive(rows: number, answered: (refusal?: string) => void): void {
    const refusal = this.#behaviour.refuse?.(this.#admitted, rows, this.#agenda.now);
    if (refusal !== undefined) {
      answered(refusal);
      return;
    }
    this.#admitted += 1;
    const { workPerBatch, workPerRow, spread = 0 } = this.#behaviour;
    const work = (workPerBatch + workPerRow * rows) * (1 - spread + 2 * spread * this.#random.next());
    this.#advance();
    const done = () =>
      this.#commit(() => {
        this.#admitted -= 1;
        answered();
      });
    this.#jobs.push({ target: this.#service + work, done });
    this.#appoint();
  }

  /** Gives every batch its share of the time that has passed. */
  #advance(): void {
    const { now } = this.#agenda;
    this.#service += (now - this.#servedAt) * this.#share(this.#servedAt);
    this.#servedAt = now;
    const done = this.#jobs.filter(({ target }) => target <= this.#service + 1e-9);
    if (done.length === 0) return;
    this.#jobs = this.#jobs.filter((job) => !done.includes(job));
    for (const job of done) job.done();
  }

  #share(now: number): number {
    const active = this.#jobs.length;
    return active === 0 ? 0 : this.#behaviour.capacity(active, now) / active;
  }

  #appoint(): void {
    const appointment = ++this.#appointment;
    const share = this.#share(this.#agenda.now);
    if (share === 0) return;
    const next = this.#jobs.reduce((least, { target }) => Math.min(least, target), Number.POSITIVE_INFINITY);
    this.#agenda.after((next - this.#service) / share, () => {
      if (appointment !== this.#appointment) return;
      this.#advance();
      this.#appoint();
    });
  }

  #commit(done: () => void): void {
    const { flush } = this.#behaviour;
    if (flush === undefined) {
      done();
    } else {
      this.#uncommitted.push(done);
      if (!this.#flushing) this.#startFlush(flush);
    }
  }

  #startFlush(milliseconds: number): void {
    const committed = this.#uncommitted;
    this.#uncommitted = [];
    this.#flushing = true;
    this.#agenda.after(milliseconds * (0.8 + 0.4 * this.#random.next()), () => {
      this.#flushing = false;
      if (this.#uncommitted.length > 0) this.#startFlush(milliseconds);
      for (const done of committed) done();
    });
  }
}
