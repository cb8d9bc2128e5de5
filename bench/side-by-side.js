// @ts-check

/**
 * Figures of one measurement: `seconds` always, others (`load`, `peak`, `wal` ...) where the benchmark has them.
 * @typedef {{ seconds: number, [figure: string]: number }} Measurement
 */

/**
 * One of those compared. `prepare` is not timed; what it gives, the name of a table, is handed on. `after` checks what was
 * done and cleans up.
 * @typedef {object} Contender
 * @property {string} name
 * @property {(round: number) => Promise<string>} [prepare]
 * @property {(table: string, round: number) => Promise<Measurement>} measure
 * @property {(table: string, round: number) => Promise<void>} [after]
 */

/** @typedef {{ name: string, measurements: Measurement[] }} Measured */

/**
 * What a benchmark holds itself to: `value` is to be `least` or more, or `most` or less. `low` and `high` are the extremes of the
 * rounds.
 * @typedef {object} Verdict
 * @property {string} what
 * @property {number} value
 * @property {number} [low]
 * @property {number} [high]
 * @property {number} [least]
 * @property {number} [most]
 * @property {string} [unit]
 */

/**
 * Measures ours and the peer, where there is one, in turn: A B A B ..., so that what disturbs the machine disturbs both.
 * @overload
 * @param {number} rounds
 * @param {Contender} ours
 * @param {Contender} theirs
 * @returns {Promise<{ ours: Measured, theirs: Measured }>}
 */
/**
 * @overload
 * @param {number} rounds
 * @param {Contender} ours
 * @param {Contender | undefined} [theirs]
 * @returns {Promise<{ ours: Measured, theirs: Measured | undefined }>}
 */
/**
 * @param {number} rounds
 * @param {Contender} ours
 * @param {Contender | undefined} [theirs]
 * @returns {Promise<{ ours: Measured, theirs: Measured | undefined }>}
 */
export async function sideBySide(rounds, ours, theirs) {
  const [first, second] = await inTurn(rounds, theirs ? [ours, theirs] : [ours]);
  return { ours: first ?? begin(ours), theirs: second };
}

/**
 * Measures any number of contenders in turn: A B C A B C ...
 * @param {number} rounds
 * @param {readonly Contender[]} contenders
 */
export async function inTurn(rounds, contenders) {
  const measured = contenders.map(begin);
  for (let round = 0; round < rounds; round++) {
    for (const [i, contender] of contenders.entries()) measured[i]?.measurements.push(await once(contender, round));
  }
  process.stdout.write('\n');
  return measured;
}

/** @param {Contender} contender @returns {Measured} */
function begin({ name }) {
  return { name, measurements: [] };
}

/** @param {Contender} contender @param {number} round */
async function once({ prepare, measure, after }, round) {
  const table = (await prepare?.(round)) ?? '';
  const measurement = await measure(table, round);
  await after?.(table, round);
  process.stdout.write('.');
  return measurement;
}

/** @param {readonly number[]} numbers */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Median of a figure over the rounds. @param {Measured} measured */
export function medianOf(measured, figure = 'seconds') {
  return median(figureOf(measured, figure));
}

/** @param {Measured} measured @param {string} figure */
function figureOf({ measurements }, figure) {
  return measurements.map((measurement) => measurement[figure] ?? Number.NaN);
}

/**
 * `ours` must have `least` times the rate of `theirs`: the median of the peer's seconds over the median of ours.
 * @param {number} least
 * @param {Measured} ours
 * @param {Measured} theirs
 * @param {{ what: string, figure?: string, peerFigure?: string }} details which seconds of ours, and which of the peer's; default those of
 * the whole measurement
 * @returns {Verdict}
 */
export function atLeast(least, ours, theirs, { what, figure = 'seconds', peerFigure = 'seconds' }) {
  const peers = figureOf(theirs, peerFigure);
  const rounds = figureOf(ours, figure).map((seconds, round) => (peers[round] ?? Number.NaN) / seconds);
  const value = medianOf(theirs, peerFigure) / medianOf(ours, figure);
  return { what, value, low: Math.min(...rounds), high: Math.max(...rounds), least, unit: 'x' };
}

/** @param {Verdict} verdict */
export function isMet({ value, least, most }) {
  return (least === undefined || value >= least) && (most === undefined || value <= most);
}
