import type { Chunk, Problem, ReadContext, ResumePoint, Row, Source } from '../../src/contract/index.js';
import { type HttpOptions, http } from '../../src/sources/http/index.js';

/** Everything one pass over a listing gave, and how it ended. */
export interface Read {
  readonly chunks: Chunk[];
  /** Records without the slots that hold none. */
  readonly records: Row[];
  readonly problems: Problem[];
  readonly logged: string[];
  /** What ended it, when it did not end well. */
  readonly error: unknown;
}

export interface ReadOptions {
  readonly from?: ResumePoint;
  readonly key?: string;
  readonly limit?: number;
  readonly signal?: AbortSignal;
  /** Stop after so many chunks. */
  readonly chunks?: number;
}

/** Pauses short enough for tests. */
export const quick = { firstPause: 0.002, longestPause: 2 };

/** Reads a listing as the flow does, and lets go of the source. */
export async function readAll(options: HttpOptions, how: ReadOptions = {}): Promise<Read> {
  await using source = http({ retries: quick, ...options });
  return await readSource(source, how);
}

export async function readSource(source: Source, how: ReadOptions = {}): Promise<Read> {
  const read: Read = { chunks: [], records: [], problems: [], logged: [], error: undefined };
  const log = (fields: object, message: string) => void read.logged.push(`${JSON.stringify(fields)} ${message}`);
  const { key } = how;
  const context: ReadContext = {
    run: 'run',
    job: 'job',
    epoch: 1,
    signal: how.signal ?? new AbortController().signal,
    log: { debug() {}, info: log, warn: log },
    problem: (problem) => void read.problems.push(problem),
    ...(key === undefined
      ? {}
      : { keyOf: (record: Row) => (record[key] === undefined ? undefined : String(record[key])) }),
    ...(how.limit === undefined ? {} : { limit: how.limit }),
  };
  try {
    for await (const split of source.splits(context))
      for await (const chunk of source.read(split, how.from, context)) {
        read.chunks.push(chunk);
        if (chunk.kind === 'records') read.records.push(...chunk.records.filter((_, i) => !chunk.defects?.has(i)));
        if (read.chunks.length === how.chunks) break;
      }
  } catch (error) {
    return { ...read, error };
  }
  return read;
}

/** Slots without a record, by row number. */
export function defectsOf(read: Read): [number, string][] {
  return read.chunks.flatMap((chunk) =>
    [...(chunk.defects ?? [])].map(([i, defect]): [number, string] => [
      chunk.span.from + i,
      defect.kind === 'malformed' ? defect.refusal.code : defect.kind,
    ]),
  );
}

/** Problems by name, each with whether it leaves the listing incomplete. */
export function verdicts(read: Read): Record<string, boolean> {
  return Object.fromEntries(read.problems.map(({ name, incomplete }) => [name, incomplete]));
}
