import { expect, test } from 'vitest';
import { pause } from './pause.js';

test('a pause ends at once when its signal is aborted, with the reason', async () => {
  const stop = new AbortController();
  const waiting = pause(60_000, stop.signal);
  stop.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
});
