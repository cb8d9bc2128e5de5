import { createLogUpdate } from 'log-update';
import { expect, test, vi } from 'vitest';
import type { Snapshot } from '../../contract/index.js';
import { Screen, startDisplay } from './display.js';
import { Terminal } from './terminal.js';

function at(seconds: number): Snapshot {
  const settled = Math.round(seconds * 100);
  const counts = { read: settled, written: settled, unchanged: 0, duplicate: 0, rejected: 0, skipped: 0, settled };
  return {
    ...counts,
    bytes: 0,
    seconds,
    inFlight: 1,
    workers: 2,
    gateChange: undefined,
    retries: 0,
    totalRows: undefined,
    shareRead: undefined,
  };
}

async function said(quiet: boolean): Promise<string[]> {
  const terminal = new Terminal({ TERM: 'dumb' });
  const say = vi.spyOn(terminal, 'say').mockImplementation(() => {});
  using display = await startDisplay(terminal, { quiet });
  for (let tick = 1; tick <= 120; tick++) display.update(at(tick / 10));
  return say.mock.calls.map(([line]) => line);
}

test('without a screen a plain line is said every five seconds', async () => {
  expect(await said(false)).toEqual([
    '500 rows  100 rows/s  0 B/s  1/2 in flight  0 retries  0 rejected',
    '1,000 rows  100 rows/s  0 B/s  1/2 in flight  0 retries  0 rejected',
  ]);
});

test('nothing is said when it is to be quiet', async () => {
  expect(await said(true)).toEqual([]);
});

test('a screen that tells no size shows the line all the same', () => {
  const written: string[] = [];
  const terminal = { rows: 0, columns: 0, write: (text: string) => written.push(text) > 0 };
  const screen = new Screen(terminal);
  const line = createLogUpdate(screen);
  line('6,200 rows');
  expect(written.join('')).toContain('6,200 rows');
  line.clear();
  const cleared = written.length;
  terminal.rows = 3;
  terminal.columns = 200;
  expect([screen.rows, screen.columns]).toEqual([3, 200]);
  line('6,300 rows');
  expect(written.slice(cleared).join('')).toContain('6,300 rows');
});
