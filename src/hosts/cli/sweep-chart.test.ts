import { expect, test } from 'vitest';
import { chart, type Drawing } from './sweep-chart.js';
import { svg } from './sweep-svg.js';

const fixed = [
  { workers: 1, seconds: 8 },
  { workers: 4, seconds: 2 },
  { workers: 16, seconds: 2 },
];
const drawing: Drawing = {
  fixed,
  adaptive: { workers: 8, seconds: 3 },
  knee: fixed[1]!,
  title: 'seconds for 9 records',
};

test('a curve falls from the upper left, with the knee below its dot', () => {
  expect(chart(drawing)).toMatchInlineSnapshot(`
    "     seconds for 9 records
     8.0 ┤●·
         │  ····
         │      ···
         │         ····
         │             ····
         │                 ···
         │                    ····
         │                        ···                 ◆
         │                           ···●····························●
         │
         │
       0 ┤
         └────────────────────────────────────────────────────────────
          1                             4                            16
                                        ▲ knee

          ● fixed number of workers   ◆ adaptive (8)"
  `);
});

test('one count alone is a curve too', () => {
  const only = { workers: 4, seconds: 1 };
  expect(chart({ fixed: [only], adaptive: undefined, knee: only, title: '' })).toContain('●');
});

test('the picture has a dot and a label a count, the knee and what adaptive came to', () => {
  const picture = svg({ ...drawing, title: 'a < b & c' });
  expect(picture.match(/<circle/g)).toHaveLength(3);
  expect(picture).toContain('<title>a &lt; b &amp; c</title>');
  expect(picture).toContain('knee: 4');
  expect(picture).toContain('◆ adaptive (8)');
  expect(picture).not.toMatch(/NaN|Infinity|undefined/);
});

test('a picture of one count has it at the left', () => {
  const only = { workers: 4, seconds: 1 };
  expect(svg({ fixed: [only], adaptive: undefined, knee: only, title: '' })).not.toMatch(/NaN|Infinity|undefined/);
});
