import { readFile } from 'node:fs/promises';
import type { ReadContext, Scratch } from '../../contract/index.js';
import { ConfigError } from '../../errors.js';
import type { Job } from '../../job/job.js';
import { type PreparedJob, prepare } from '../../job/prepare.js';
import { sinks } from '../../registry.js';
import { type Sample, type SampleBounds, takeSample } from '../../sweep/sample.js';
import type { WriteSide } from '../../sweep/trial.js';
import { keepHeapLean } from '../lean-heap.js';
import type { Terminal } from './terminal.js';

/** What is needed to measure the write side of a job. */
interface Bench {
  readonly prepared: PreparedJob;
  readonly writeSide: WriteSide;
  readonly sample: Sample;
  readonly scratch: Scratch;
  /** Connections the server has free. */
  readonly free: number;
}

/**
 * Sees whether the target could be written, reads the sample, and lends scratch room, which is gone afterwards whatever
 * happens.
 */
export async function withScratch<Result>(
  job: Job,
  bounds: SampleBounds,
  signal: AbortSignal,
  terminal: Terminal,
  work: (bench: Bench) => Promise<Result>,
): Promise<Result> {
  const component = await sinks[job.sink.name]!();
  if (component.scratch === undefined) {
    throw new ConfigError(
      'no-scratch',
      `this measures on a scratch copy of the target, and the sink ${job.sink.name} can't make one; postgres can`,
    );
  }
  const prepared = await prepare(job);
  keepHeapLean();
  const {
    source: _source,
    sink: _sink,
    workers: _workers,
    maxErrors: _maxErrors,
    verify: _verify,
    ...writeSide
  } = prepared;
  await using source = prepared.source;
  await using sink = prepared.sink;
  const context = readContext(signal);
  const { ignoreExtra = false } = prepared;
  const { free = Number.POSITIVE_INFINITY } = await sink.plan(
    { columns: [], sample: [], textual: false, ignoreExtra },
    context,
  );
  const limit = Math.min(bounds.rows, job.limit ?? Number.POSITIVE_INFINITY);
  const sample = await takeSample(source, { ...bounds, rows: limit }, context);
  const scratch = await component.scratch(job.sink.options, signal);
  let result: Result;
  try {
    result = await work({ prepared, writeSide, sample, scratch, free });
  } catch (error) {
    // What went wrong first is what is thrown.
    await Promise.resolve(scratch[Symbol.asyncDispose]()).catch((left: unknown) => terminal.complain(left, false));
    throw error;
  }
  await scratch[Symbol.asyncDispose]();
  return result;
}

function readContext(signal: AbortSignal): ReadContext {
  const log = { debug() {}, info() {}, warn() {} };
  return { run: 'sample', job: 'sample', epoch: 0, signal, log, problem() {} };
}

export async function readJobFile(path: string): Promise<Job> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ConfigError('no-job-file', `The job file ${path} can't be read.`, { cause });
  });
  const { readJob } = await import('../../job/file.js');
  return await readJob(text, path, process.env);
}

/** @throws ConfigError */
export function secondsOf(typed: string): number {
  const number = Number(typed);
  if (/^\d+(\.\d+)?$/.test(typed) && number > 0 && number <= 3600) return number;
  throw new ConfigError('bad-usage', '--seconds: expected seconds, more than 0 and 3600 at most');
}
