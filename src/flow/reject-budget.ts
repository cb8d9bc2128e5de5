import { ConfigError, SluiceError } from '../errors.js';

/** Rows that must have been read before a share of them says anything. */
const fewest = 1_000;

/** How many rejects a load may have before it stops: a count, or a share of the rows read so far. */
export class RejectBudget {
  readonly #most: number;
  readonly #share: number | undefined;

  /** @throws ConfigError unless given a whole number >= 0, or a percentage from 0% to 100%. */
  constructor(maxErrors: number | string) {
    const percent = typeof maxErrors === 'string' ? /^(\d+(?:\.\d+)?)%$/.exec(maxErrors) : null;
    if (percent && Number(percent[1]) <= 100) {
      this.#share = Number(percent[1]) / 100;
      this.#most = Number.POSITIVE_INFINITY;
    } else if (typeof maxErrors === 'number' && Number.isSafeInteger(maxErrors) && maxErrors >= 0) {
      this.#most = maxErrors;
    } else {
      throw new ConfigError(
        'bad-max-errors',
        `"${maxErrors}" is not a number of rejects: give a whole number such as 100, or a share such as 1%`,
      );
    }
  }

  exceeded(rejected: number, read: number): boolean {
    if (this.#share === undefined) return rejected > this.#most;
    return read >= fewest && rejected > read * this.#share;
  }

  /** What a person should know of a load that was too small for its share to be judged, and has more rejects than that. */
  unjudged(rejected: number, read: number): string | undefined {
    if (this.#share === undefined || read >= fewest || rejected <= read * this.#share) return undefined;
    return `${rejected} of ${read} records were rejected, more than the ${this.#share * 100}% allowed: a share is judged from ${fewest} records on, a count such as 0 always`;
  }
}

/** The budget is exceeded. */
export class TooManyRejects extends SluiceError {
  constructor(rejected: number, read: number) {
    super(
      'too-many-rejects',
      `${rejected} of ${read} records read so far were rejected: more than allowed. See the rejects, mend the source or the table, or raise max errors`,
    );
  }
}
