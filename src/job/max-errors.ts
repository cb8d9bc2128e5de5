import { ConfigError } from '../errors.js';

/** Rejects allowed: a count, or a share of the rows read so far. */
export type MaxErrors = number | `${number}%`;

/** Whether a value says how many rejects are allowed: `0`, `100`, `1%`, `0.5%`. */
export function isMaxErrors(value: unknown): value is MaxErrors {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0;
  if (typeof value !== 'string') return false;
  const share = /^(\d+(?:\.\d+)?)%$/.exec(value)?.[1];
  return share !== undefined && Number(share) <= 100;
}

/** Reads `--max-errors`. @throws ConfigError when it is neither a count nor a percentage. */
export function parseMaxErrors(text: string): MaxErrors {
  const value = /^\d+$/.test(text) ? Number(text) : text;
  if (isMaxErrors(value)) return value;
  throw new ConfigError(
    'bad-max-errors',
    'expected a count such as 100, or a share of the rows read between 0% and 100%, such as 1%',
  );
}
