// @ts-check
import { medianOf, sideBySide } from './side-by-side.js';
import { command } from './sluice.js';
import { run } from './timed.js';

export const title = 'Start';

export const method = '`sluice --version`, the whole process, beside a Node process that does nothing.';

const spawns = 11;

/** @returns {Promise<import('./bench.js').Outcome>} */
export async function measure() {
  const { ours, theirs } = await sideBySide(
    spawns,
    {
      name: 'sluice --version',
      measure: async () => ({ seconds: (await run(process.execPath, [command, '--version'])).seconds }),
    },
    {
      name: 'node --eval 0',
      measure: async () => ({ seconds: (await run(process.execPath, ['--eval', '0'])).seconds }),
    },
  );
  return {
    sections: [{ measured: [ours, theirs] }],
    verdicts: [{ what: 'sluice --version', value: medianOf(ours), most: 0.15, unit: 's' }],
  };
}
