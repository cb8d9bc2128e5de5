import type { Predicted } from '../../contract/index.js';
import type { Probe } from '../../sweep/probe.js';
import { coarse, count, counted, duration } from './words.js';

/** What a plan says, for programs. */
export interface PlanResult extends Omit<Probe, 'predicted'> {
  readonly status: 'plan';
  readonly job: string;
  readonly source: string;
  readonly sink: string;
  /** Connections the server has free; null when it has no such bound. */
  readonly free: number | null;
  readonly predicted: Predicted | null;
  /** Seconds it is to fit in; null when nobody asked. */
  readonly within: number | null;
  /** Whether the longest it is expected to take is within that. Null when nobody asked. */
  readonly fits: boolean | null;
}

/** A plan for a person. */
export function describePlan(plan: PlanResult): string {
  const { predicted, within, fits, oneByOne, free, reckoned } = plan;
  const rates = [...plan.rates].sort((a, b) => a - b);
  const lines = [
    `from         ${plan.source}`,
    `into         ${plan.sink}`,
    `records      ${predicted ? `${reckoned ? 'about ' : ''}${count(predicted.rows)}` : 'unknown'}, ${count(plan.rowBytes)} bytes each`,
    '',
    `round trip   ${plan.roundTrip.toFixed(plan.roundTrip < 10 ? 2 : 1)} ms`,
    `source       ${count(plan.sourceRate)} rows/s, when nobody writes`,
    `one by one   ${count(oneByOne.rate)} rows/s${oneByOne.seconds === null ? '' : `, ${long(oneByOne.seconds)} in all`}: a record a transaction, one connection`,
    ...plan.points.map(
      ({ workers, rate }) => `${counted(workers, 'worker').padEnd(12)} ${count(rate)} rows/s from memory`,
    ),
    `this load    ${count(rates[0] ?? 0)} to ${count(rates.at(-1) ?? 0)} rows/s, in ${counted(rates.length, 'short load')} into scratch copies`,
    '',
    `connections  ${count(plan.workers)}${free === null ? '' : ` of ${count(free)} free`}`,
  ];
  if (predicted === null) {
    lines.push(
      'how long     unknown, for the source does not say how many records it has (limit in the job says how many to take)',
    );
    return lines.join('\n');
  }
  lines.push(`how long     ${describeInterval(predicted)}`);
  if (within !== null) {
    const verdict = fits ? 'fits' : predicted.least > within ? 'does not fit' : 'may not fit';
    lines.push(`within       ${long(within)}: ${verdict}`);
  }
  return lines.join('\n');
}

/** `12.3 s (9 of 10 times 10.1 s to 14.9 s)` */
function describeInterval({ seconds, least, most }: Predicted): string {
  return `${long(seconds)} (9 of 10 times ${long(least)} to ${long(most)})`;
}

/** A prediction beside what happened. */
export function comparePrediction(predicted: Predicted, read: number): string {
  const rows = predicted.rows === read ? '' : ` for ${counted(predicted.rows, 'record')}`;
  return `predicted ${describeInterval(predicted)}${rows}`;
}

function long(seconds: number): string {
  if (seconds >= 48 * 3600) return `${count(seconds / 86_400)} days`;
  return seconds < 60 ? duration(seconds) : coarse(seconds);
}
