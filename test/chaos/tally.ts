/** What was done to the loads, and what came of it. */
export class Tally {
  readonly #injected = new Map<string, number>();
  readonly #survived = new Map<string, number>();
  readonly #open: string[] = [];
  readonly #ends = new Map<string, number>();
  completed = 0;
  lost = 0;
  doubled = 0;
  rejectsLost = 0;
  rejectsDoubled = 0;
  rows = 0;
  /** Milliseconds from the death of a holder until another had taken the run over, its start included. */
  readonly takeovers: number[] = [];
  /** Kilobytes a loader held at most. */
  peak = 0;

  inject(fault: string): void {
    raise(this.#injected, fault);
    this.#open.push(fault);
  }

  /** The job met all the faults since the last call, and its table is right. */
  survive(): void {
    for (const fault of this.#open.splice(0)) raise(this.#survived, fault);
    this.completed++;
  }

  /** A loader's process ended so. */
  ended(how: string): void {
    raise(this.#ends, how);
  }

  injected(fault: string): number {
    return this.#injected.get(fault) ?? 0;
  }

  get faults(): readonly (readonly [fault: string, injected: number, survived: number])[] {
    return [...this.#injected]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([fault, injected]) => [fault, injected, this.#survived.get(fault) ?? 0]);
  }

  get ends(): readonly (readonly [how: string, count: number])[] {
    return [...this.#ends].sort(([, a], [, b]) => b - a);
  }

  get flawless(): boolean {
    return this.lost + this.doubled + this.rejectsLost + this.rejectsDoubled === 0;
  }
}

function raise(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
