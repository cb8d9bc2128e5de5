import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Random } from './random.js';
import { scenarios } from './scenarios.js';
import { type CrashingServer, startCrashingServer } from './server.js';
import { Tally } from './tally.js';

/** Of its own for each scenario: what is drawn for one does not change with the others. */
const seed = 20_261;
const rows = 20_000;
const faults = 4;

const here = scenarios.filter(({ notRun }) => notRun === undefined);
for (const { about, notRun } of scenarios) if (notRun !== undefined) console.warn(`NOT RUN: ${about}, for ${notRun}`);

describe('nothing is lost and nothing doubled by', () => {
  let server: CrashingServer;
  beforeAll(async () => {
    server = await startCrashingServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test.each(here.map((scenario) => [scenario.about, scenario] as const))(
    '%s',
    async (_about, { name, run }) => {
      const tally = new Tally();
      try {
        await run({ server, random: new Random(seed), tally, rows, faults });
      } catch (error) {
        throw new Error(
          `npm run chaos -- --scenario ${name} --seed ${seed} --rounds 1 --rows ${rows} --faults ${faults}`,
          { cause: error },
        );
      }
      expect(tally).toMatchObject({ flawless: true, completed: 1 });
    },
    120_000,
  );
});
