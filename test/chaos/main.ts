import { parseArgs } from 'node:util';
import { Random } from './random.js';
import { scenarios } from './scenarios.js';
import { startCrashingServer } from './server.js';
import { Tally } from './tally.js';

// Runs the scenarios one after another until the time is over: npm run chaos -- --minutes 10 --seed 7
const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    scenario: { type: 'string' },
    rounds: { type: 'string' },
    rows: { type: 'string' },
    faults: { type: 'string' },
  },
});
const seed = Number(values.seed);
const minutes = Number(values.minutes ?? (values.rounds === undefined ? 1 : Infinity));
const until = performance.now() + minutes * 60_000;
const chosen = scenarios.filter(({ name, notRun }) => {
  if (notRun !== undefined) console.log(`NOT RUN: ${name}: ${notRun}`);
  return notRun === undefined && (values.scenario === undefined || name === values.scenario);
});
if (chosen.length === 0)
  throw new Error(`no scenario ${values.scenario}: ${scenarios.map(({ name }) => name).join(', ')}`);

const tally = new Tally();
const server = await startCrashingServer();
let failed = false;
try {
  for (let round = 0; round < Number(values.rounds ?? Infinity) && performance.now() < until && !failed; round++) {
    const scenario = chosen[round % chosen.length]!;
    const size = new Random(~(seed + round));
    const rows = Number(values.rows ?? size.int(20_000, 60_000));
    const faults = Number(values.faults ?? size.int(4, 16));
    const started = performance.now();
    try {
      await scenario.run({ server, random: new Random(seed + round), tally, rows, faults });
    } catch (error) {
      failed = true;
      console.error(error);
      console.error(
        `FAILED: npm run chaos -- --scenario ${scenario.name} --seed ${seed + round} --rounds 1 --rows ${rows} --faults ${faults}`,
      );
    }
    console.log(`${scenario.name} (seed ${seed + round}): ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
} finally {
  await server[Symbol.asyncDispose]();
}

console.log(`seed ${seed}: ${tally.completed} jobs completed, ${tally.rows} rows`);
console.log('fault: injected, survived');
for (const [fault, injected, survived] of tally.faults) console.log(`  ${fault}: ${injected}, ${survived}`);
console.log('loaders ended:');
for (const [how, count] of tally.ends) console.log(`  ${how}: ${count}`);
const takeovers = tally.takeovers.sort((a, b) => a - b);
console.log(
  `${takeovers.length} runs taken over from the dead, within ${Math.round(takeovers[takeovers.length >> 1] ?? 0)} ms (median), ${Math.round(takeovers.at(-1) ?? 0)} ms (longest)`,
);
console.log(`memory of a loader: ${Math.round(tally.peak / 1024)} MB at most`);
console.log(`rows lost: ${tally.lost}, doubled: ${tally.doubled}`);
console.log(`rejects lost: ${tally.rejectsLost}, doubled: ${tally.rejectsDoubled}`);
process.exitCode = failed || !tally.flawless ? 1 : 0;
