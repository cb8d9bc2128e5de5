/**
 * The constants of the adaptive gate. They were chosen by trying others on the curves of test/gate, and hold for times from a
 * fraction of a millisecond to seconds a batch, for most of them count in rounds or as shares.
 */
export const tuning = {
  /**
   * A window of measurement lasts this many rounds (a round: as many batches as may be in flight), and so many milliseconds; `error`
   * is the standard error, as a share of the rate, at which a trial whose verdict is not clear before ends. The climb is to be quick.
   */
  climb: { rounds: 1.5, windowTime: 100, error: 0.05 },
  steady: { rounds: 1.5, windowTime: 200, error: 0.015 },
  /**
   * Milliseconds. Batches that take less than the one wait for the line; those that take more than the other wait for one another, and
   * half the rounds must do, for the climb would take as long as the load.
   */
  shortBatch: 150,
  longBatch: 400,
  /** The standard error of a reading by itself. */
  firstError: 0.15,
  /** What more must gain to be kept, and what less may cost. Between the two lies the knee. */
  gain: 0.04,
  loss: 0.02,
  /** Standard errors that what more gains must stand out by; and the share by which fewer, in the climb, are believed not to cost. */
  doubt: { climb: 1.5, steady: 2.5, fewer: 0.05 },
  /** Factors: the first trial's and one after a trial that paid fully, and the usual one. */
  longStride: 2,
  stride: 1.4,
  /**
   * Milliseconds from a trial to the next of the same move, at least: of more in flight, of many more (each batch then takes about
   * twice as long), of the others; and at most.
   */
  restMore: 1_200,
  restManyMore: 2_000,
  rest: 3_000,
  longestRest: 10_000,
  /** What the trials of one move may cost of all throughput: the more one has cost, the later is the next. */
  cost: 0.01,
  /** A change of the rate, with nothing changed by us, that is more than noise. */
  shift: 0.2,
  /** Milliseconds for which what was there before such a change is remembered. */
  memory: 10_000,
  /** Milliseconds for which a count that was turned away is not tried again: the first time, and at most. */
  ceiling: { first: 1_000, longest: 6_000 },
} as const;
