// @ts-check
import { mkdir, writeFile } from 'node:fs/promises';
import { isMet, medianOf } from './side-by-side.js';

/** Other figures than seconds, as tables show them. */
const figures = {
  load: { label: 'load alone s', show: seconds },
  peak: { label: 'peak RSS MB', show: (/** @type {number} */ value) => value.toFixed(0) },
  cpu: { label: 'client CPU us a record', show: (/** @type {number} */ value) => value.toFixed(2) },
  wal: { label: 'WAL MB', show: (/** @type {number} */ value) => (value / 1e6).toFixed(value < 1e7 ? 2 : 0) },
  walOfTable: { label: 'WAL records of the table', show: String },
};

/** What a person sees at the end of a benchmark, in markdown. @param {import('./bench.js').Outcome} outcome */
export function describe({ sections, verdicts }) {
  const tables = sections.map(({ heading, rows, measured }) => {
    const present = measured.filter((one) => one !== undefined);
    const extra = Object.entries(figures).filter(([name]) =>
      present.some(({ measurements }) => name in (measurements[0] ?? {})),
    );
    const head = ['', 'median s', 'from', 'to', ...(rows ? ['rows/s'] : []), ...extra.map(([, { label }]) => label)];
    const lines = present.map((one) => {
      const all = one.measurements.map((measurement) => measurement.seconds);
      return [
        one.name,
        ...[medianOf(one), Math.min(...all), Math.max(...all)].map(seconds),
        ...(rows ? [count(rows / medianOf(one))] : []),
        ...extra.map(([name, { show }]) => (name in (one.measurements[0] ?? {}) ? show(medianOf(one, name)) : '')),
      ];
    });
    const rounds = Math.max(...present.map(({ measurements }) => measurements.length));
    const title = [heading, rows && `${count(rows)} rows`, rounds === 1 ? 'once' : `${rounds} rounds`]
      .filter(Boolean)
      .join(', ');
    return `${title}:\n\n${table(head, lines)}`;
  });
  const judged = verdicts.map((verdict) => `- ${isMet(verdict) ? 'met' : '**missed**'}: ${words(verdict)}`);
  return [...tables, judged.join('\n')].filter((part) => part !== '').join('\n\n');
}

/** @param {import('./side-by-side.js').Verdict} verdict */
function words({ what, value, low, high, least, most, unit = '' }) {
  const target = least === undefined ? `at most ${most}` : `at least ${least}`;
  const range = low === undefined || high === undefined ? '' : ` (rounds ${figure(low)} to ${figure(high)})`;
  const sign = unit === 'x' ? '' : unit && ` ${unit}`;
  return `${what}: ${figure(value)}${sign}${range}; target ${target}${sign}`;
}

/**
 * Leaves a benchmark's figures as `<name>.md` for people and `<name>.json`, every round of it, for programs.
 * @param {URL} folder
 * @param {string} name
 * @param {{ title: string, method: string, machine: Record<string, string>, outcome: import('./bench.js').Outcome }} result
 */
export async function writeResults(folder, name, { title, method, machine, outcome }) {
  const facts = Object.entries(machine).map(([fact, value]) => `- ${fact}: ${value}`);
  const text = `# ${title}

${method}

${describe(outcome)}

Medians of the rounds, which were taken in turn. Made by \`npm run bench -- ${name}\`:

${facts.join('\n')}
`;
  await mkdir(folder, { recursive: true });
  await writeFile(new URL(`${name}.md`, folder), text);
  await writeFile(new URL(`${name}.json`, folder), `${JSON.stringify({ title, machine, ...outcome }, null, 1)}\n`);
}

/** A markdown table, its columns lined up. @param {readonly string[]} head @param {readonly (readonly string[])[]} rows */
function table(head, rows) {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (/** @type {readonly string[]} */ cells) => {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** @param {number} value */
function seconds(value) {
  return value.toFixed(value < 0.1 ? 3 : 2);
}

/** @param {number} value */
function figure(value) {
  return Number.isInteger(value) ? count(value) : value.toFixed(2);
}

/** @param {number} value */
function count(value) {
  return Math.round(value).toLocaleString('en');
}
