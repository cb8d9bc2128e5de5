/** A curve as it is drawn: seconds against workers. */
export interface Drawing {
  /** By number of workers, at least one. */
  readonly fixed: readonly Dot[];
  /** What the gate came to. */
  readonly adaptive: Dot | undefined;
  readonly knee: Dot;
  /** Above the axis of seconds: `seconds for 200,000 records`. */
  readonly title: string;
}

interface Dot {
  readonly workers: number;
  readonly seconds: number;
}

const width = 60;
const height = 12;

/** Draws the curve in characters; workers on a logarithmic scale, seconds from 0. */
export function chart({ fixed, adaptive, knee, title }: Drawing): string {
  const { across, up, most } = scales({ fixed, adaptive }, width - 1, height - 1);
  const grid = Array.from({ length: height }, () => Array<string>(width).fill(' '));
  const put = (x: number, y: number, mark: string) => {
    const line = grid[height - 1 - Math.round(y)];
    if (line !== undefined) line[Math.round(x)] = mark;
  };
  for (const [i, to] of fixed.entries()) {
    const from = fixed[i - 1] ?? to;
    const [x1, y1, x2, y2] = [across(from.workers), up(from.seconds), across(to.workers), up(to.seconds)];
    for (let x = Math.round(x1) + 1; x < Math.round(x2); x++) put(x, y1 + ((y2 - y1) * (x - x1)) / (x2 - x1), '·');
  }
  for (const { workers, seconds } of fixed) put(across(workers), up(seconds), '●');
  if (adaptive) put(across(adaptive.workers), up(adaptive.seconds), '◆');
  const top = figure(most);
  const gutter = top.length + 1;
  const lines = grid.map((cells, index) => {
    const label = index === 0 ? top : index === height - 1 ? '0' : '';
    return `${label.padStart(gutter)} ${label === '' ? '│' : '┤'}${cells.join('')}`.trimEnd();
  });
  const left = ' '.repeat(gutter + 2);
  return [
    `${' '.repeat(gutter)} ${title}`,
    ...lines,
    `${' '.repeat(gutter)} └${'─'.repeat(width)}`,
    left + axis(fixed.map(({ workers }) => ({ at: Math.round(across(workers)), text: String(workers) }))),
    `${left}${' '.repeat(Math.round(across(knee.workers)))}▲ knee`,
    '',
    `${left}● fixed number of workers${adaptive ? `   ◆ adaptive (${adaptive.workers})` : ''}`,
  ].join('\n');
}

/** Where a number of workers, and a time, stand on axes of these lengths; and the longest time. */
export function scales(
  { fixed, adaptive }: Pick<Drawing, 'fixed' | 'adaptive'>,
  wide: number,
  high: number,
): { across(workers: number): number; up(seconds: number): number; most: number } {
  const all = adaptive ? [...fixed, adaptive] : fixed;
  const logs = all.map(({ workers }) => Math.log2(workers));
  const [least, last] = [Math.min(...logs), Math.max(...logs)];
  const most = Math.max(...all.map(({ seconds }) => seconds));
  return {
    across: (workers) => (last === least ? 0 : ((Math.log2(workers) - least) / (last - least)) * wide),
    up: (seconds) => (seconds / most) * high,
    most,
  };
}

/** Labels at their places; one that would touch the label before it is left out. */
function axis(labels: readonly { readonly at: number; readonly text: string }[]): string {
  let line = '';
  for (const { at, text } of labels) {
    if (line === '' ? at === 0 : line.length < at) line = line.padEnd(at) + text;
  }
  return line;
}

/** Seconds on an axis. */
export function figure(seconds: number): string {
  return seconds >= 100 ? seconds.toFixed(0) : seconds.toPrecision(2);
}
