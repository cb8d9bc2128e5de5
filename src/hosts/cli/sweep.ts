import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../../errors.js';
import { newRunName } from '../../flow/run-name.js';
import { leastLoads, sweep, usualCounts } from '../../sweep/sweep.js';
import { exitCodes } from './exit-code.js';
import { explain } from './explain.js';
import { defaultRunDir, makeRunDir } from './run-folder.js';
import { readJobFile, secondsOf, withScratch } from './scratch.js';
import { stopAtOnce } from './signals.js';
import { svg } from './sweep-svg.js';
import { describeSweep, drawingOf, resultOf, type SweepResult } from './sweep-words.js';
import type { Terminal } from './terminal.js';
import { counted, duration } from './words.js';

/** The flags of `sluice sweep`; as typed. */
export interface SweepFlags {
  readonly counts?: string;
  readonly rows?: string;
  readonly seconds?: string;
  readonly svg?: string;
  readonly runDir?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const mebibyte = 1024 * 1024;
/** Memory of the sample at most, however many rows are asked for. */
const sampleBytes = 128 * mebibyte;
/** Records of the sample, and seconds to read them, when nobody says how many. */
const usualRows = 500_000;
const readingTime = 20;
/** Seconds a load at most. */
const usualSeconds = 10;

/** `sluice sweep JOB`. */
export async function sweepCommand(path: string, flags: SweepFlags, terminal: Terminal): Promise<number> {
  const counts = flags.counts === undefined ? usualCounts : countsOf(flags.counts);
  const seconds = flags.seconds === undefined ? usualSeconds : secondsOf(flags.seconds);
  const rows = flags.rows === undefined ? undefined : countOf('--rows', flags.rows);
  const job = await readJobFile(path);
  terminal.redactor.learn(job);
  const say = (text: string) => {
    if (!flags.quiet) terminal.say(text);
  };
  using stop = stopAtOnce(say);
  const bounds = { rows: rows ?? usualRows, bytes: sampleBytes, seconds: rows === undefined ? readingTime : Infinity };
  const result = await withScratch(
    job,
    bounds,
    stop.signal,
    terminal,
    async ({ prepared, writeSide, sample, scratch, free }) => {
      const fitting = counts.filter((count) => count <= free);
      if (fitting.length === 0) {
        throw new ConfigError(
          'bad-usage',
          `--counts: the server has ${counted(free, 'connection')} free, fewer than each of ${counts.join(', ')}`,
        );
      }
      for (const count of counts)
        if (count > free)
          say(`left out: ${counted(count, 'worker')}, for the server has ${counted(free, 'connection')} free`);
      say(
        `${counted(sample.rows, 'record')} read in ${duration(sample.seconds)}; ${leastLoads(fitting.length)} loads follow, or more if they are short, of ${duration(seconds)} at most`,
      );
      const roundTrip = await scratch.roundTrip(stop.signal);
      const found = await sweep({
        sample,
        scratch,
        writeSide,
        counts: fitting,
        seconds,
        signal: stop.signal,
        onTrial: (workers, pass) =>
          say(`pass ${pass + 1}: ${workers === undefined ? 'adaptive' : counted(workers, 'worker')}`),
      });
      return resultOf(found, sample, {
        source: prepared.source.identity,
        sink: prepared.sink.identity,
        roundTrip,
        svg: null,
      });
    },
  );
  const kept = await keep(result, flags, terminal);
  terminal.print(flags.json ? JSON.stringify(kept) : describeSweep(kept));
  return exitCodes.complete;
}

/** Puts the figures and the picture into the run folder, or where the user wants the picture. */
async function keep(result: SweepResult, flags: SweepFlags, terminal: Terminal): Promise<SweepResult> {
  const warn = (text: string) => terminal.say(`${terminal.paint('yellow', 'warning:')} ${text}`);
  const folder = await makeRunDir(flags.runDir ?? defaultRunDir(newRunName(new Date())), warn);
  const file = flags.svg ?? (folder === undefined ? undefined : join(folder, 'sweep.svg'));
  const put = async (path: string, text: string) => {
    try {
      await writeFile(path, terminal.redactor.clean(text));
      return true;
    } catch (error) {
      warn(`${path} can't be written (${explain(error)}).`);
      return false;
    }
  };
  const drawn = file !== undefined && (await put(file, svg(drawingOf(result))));
  const kept = { ...result, svg: drawn ? file : null };
  if (folder !== undefined) await put(join(folder, 'sweep.json'), `${JSON.stringify(kept, null, 2)}\n`);
  return kept;
}

function countsOf(typed: string): number[] {
  return [...new Set(typed.split(',').map((count) => countOf('--counts', count.trim())))].sort((a, b) => a - b);
}

function countOf(flag: string, typed: string): number {
  const number = Number(typed);
  if (/^\d{1,9}$/.test(typed) && number > 0) return number;
  throw new ConfigError(
    'bad-usage',
    `${flag}: expected ${flag === '--counts' ? 'whole numbers, 1 or more, with commas between' : 'a whole number, 1 or more'}`,
  );
}
