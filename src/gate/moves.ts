import { tuning } from './tuning.js';

/** What the gate can turn: batches in flight, bytes a batch. */
export type Knob = 'workers' | 'batch';

/** A knob and the way it is turned. */
export interface Move {
  readonly knob: Knob;
  readonly up: boolean;
}

interface Plan {
  /** Milliseconds of the samples' clock from which on the move may be tried. */
  readonly due: number;
  /** Factor by which the knob is turned. */
  readonly stride: number;
}

const more: Move = { knob: 'workers', up: true };
const fewer: Move = { knob: 'workers', up: false };
const larger: Move = { knob: 'batch', up: true };
const smaller: Move = { knob: 'batch', up: false };
const moves: readonly Move[] = [more, fewer, larger, smaller];

/** Which move is to be tried when, and how far. */
export class Schedule {
  readonly #knobs: readonly Knob[];
  readonly #plans = new Map<Move, Plan>();

  constructor(knobs: readonly Knob[]) {
    this.#knobs = knobs;
  }

  /** All moves are due. */
  clear(): void {
    this.#plans.clear();
  }

  plan(move: Move, due: number, stride: number): void {
    this.#plans.set(move, { due, stride });
  }

  dueAt(move: Move): number {
    return this.#plans.get(move)?.due ?? Number.NEGATIVE_INFINITY;
  }

  /** How far a move goes. Where batches take long, half as many would cost a climb more than they save it. */
  stride(move: Move, batchTime: number): number {
    const first = move === fewer && batchTime > tuning.longBatch ? tuning.stride : tuning.longStride;
    return this.#plans.get(move)?.stride ?? first;
  }

  /**
   * Those that may be tried now, the most promising first. In a climb, by the time a batch takes: where it is short, larger ones
   * cost nothing; where it is long, fewer in flight make the rest of the climb quicker.
   */
  due(now: number, batchTime: number | undefined): Move[] {
    const order =
      batchTime === undefined || batchTime < tuning.shortBatch
        ? [larger, more, fewer, smaller]
        : batchTime < tuning.longBatch
          ? [more, fewer, larger, smaller]
          : [fewer, more, larger, smaller];
    return order.filter((move) => this.#knobs.includes(move.knob) && this.dueAt(move) <= now);
  }

  static move(knob: Knob, up: boolean): Move {
    return moves.find((move) => move.knob === knob && move.up === up)!;
  }

  static opposite({ knob, up }: Move): Move {
    return Schedule.move(knob, !up);
  }
}
