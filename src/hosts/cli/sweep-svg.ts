import { type Drawing, figure, scales } from './sweep-chart.js';

const area = { left: 70, top: 50, wide: 620, high: 320 };
const size = { wide: 720, high: 450 };
const ink = '#24292f';
const grey = '#8c959f';
const blue = '#0969da';
const orange = '#bc4c00';

/** The curve as a picture; workers on a logarithmic scale, seconds from 0. */
export function svg(drawing: Drawing): string {
  const { fixed, adaptive, knee, title } = drawing;
  const { across, up, most } = scales(drawing, area.wide, area.high);
  const x = (workers: number) => place(area.left + across(workers));
  const y = (seconds: number) => place(area.top + area.high - up(seconds));
  const base = area.top + area.high;
  const right = area.left + area.wide;
  const steps = [0, 0.25, 0.5, 0.75, 1].map((share) => share * most);
  const line = (from: readonly [number, number], to: readonly [number, number], more: string) =>
    `<line x1="${from[0]}" y1="${from[1]}" x2="${to[0]}" y2="${to[1]}" ${more}/>`;
  const text = (at: readonly [number, number], words: string, more = '') =>
    `<text x="${at[0]}" y="${at[1]}" ${more}>${escaped(words)}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.wide} ${size.high}" font-family="system-ui, sans-serif" font-size="12" fill="${ink}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${size.wide}" height="${size.high}" fill="#ffffff"/>`,
    text([area.left, 28], title, 'font-size="15"'),
    ...steps.flatMap((seconds) => [
      line([area.left, y(seconds)], [right, y(seconds)], `stroke="${grey}" stroke-opacity="0.4"`),
      text([area.left - 8, y(seconds) + 4], seconds === 0 ? '0' : figure(seconds), 'text-anchor="end"'),
    ]),
    line([x(knee.workers), area.top], [x(knee.workers), base], `stroke="${grey}" stroke-dasharray="4 4"`),
    text([x(knee.workers) + 5, area.top + 12], `knee: ${knee.workers}`, `fill="${grey}"`),
    `<polyline fill="none" stroke="${blue}" stroke-width="2" points="${fixed.map(({ workers, seconds }) => `${x(workers)},${y(seconds)}`).join(' ')}"/>`,
    ...fixed.flatMap(({ workers, seconds }) => [
      `<circle cx="${x(workers)}" cy="${y(seconds)}" r="4" fill="${blue}"><title>${workers}: ${seconds.toFixed(2)} s</title></circle>`,
      text([x(workers), base + 18], String(workers), 'text-anchor="middle"'),
    ]),
    ...(adaptive
      ? [
          `<path d="M ${x(adaptive.workers)} ${y(adaptive.seconds)} m 0 -7 l 7 7 l -7 7 l -7 -7 z" fill="${orange}"><title>adaptive (${adaptive.workers}): ${adaptive.seconds.toFixed(2)} s</title></path>`,
          text([right, 28], `◆ adaptive (${adaptive.workers})`, `text-anchor="end" fill="${orange}"`),
        ]
      : []),
    text([area.left + area.wide / 2, base + 40], 'workers', 'text-anchor="middle"'),
    '</svg>',
    '',
  ].join('\n');
}

function place(at: number): number {
  return Math.round(at * 10) / 10;
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
