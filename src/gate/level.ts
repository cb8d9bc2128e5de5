/** A number that changes now and then, and its sum over time. Times are milliseconds of a monotonic clock. */
export class Level {
  #value = 0;
  #sum = 0;
  #since = 0;

  get value(): number {
    return this.#value;
  }

  /** From `now` on it is another. */
  set(value: number, now: number): void {
    this.#sum = this.sumAt(now);
    this.#since = now;
    this.#value = value;
  }

  /** What it was, times the milliseconds for which it was so, until `now`. */
  sumAt(now: number): number {
    return this.#sum + this.#value * (now - this.#since);
  }
}
