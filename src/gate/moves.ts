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

const moves: readonly Move[] = [
  { knob: 'workers', up: true },
  { knob: 'workers', up: false },
  { knob: 'batch', up: true },
  { knob: 'batch', up: false },
];

/** Which move is to be tried when, and how far. Of those that are due, more in flight comes first. */
export class Schedule {
  readonly #knobs: readonly Knob[];
  readonly #plans = new Map<Move, Plan>();
  #usualStride: number;

  constructor(knobs: readonly Knob[], stride: number) {
    this.#knobs = knobs;
    this.#usualStride = stride;
  }

  /** All moves are due, with this stride. */
  clear(stride: number): void {
    this.#plans.clear();
    this.#usualStride = stride;
  }

  plan(move: Move, due: number, stride: number): void {
    this.#plans.set(move, { due, stride });
  }

  of(move: Move): Plan {
    return this.#plans.get(move) ?? { due: Number.NEGATIVE_INFINITY, stride: this.#usualStride };
  }

  /** Those that may be tried now. */
  due(now: number): Move[] {
    return moves.filter((move) => this.#knobs.includes(move.knob) && this.of(move).due <= now);
  }

  static move(knob: Knob, up: boolean): Move {
    return moves.find((move) => move.knob === knob && move.up === up)!;
  }

  static opposite({ knob, up }: Move): Move {
    return Schedule.move(knob, !up);
  }
}
