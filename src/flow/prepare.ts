import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cell, Context, Row, Sink, SinkPlan, Source, Split } from '../contract/index.js';
import { SourceError } from '../errors.js';
import { parseCsvRecord } from '../formats/csv-record.js';
import { type Slice, SlicedBatch } from './batch.js';
import type { Arrival } from './batcher.js';
import { type Columns, columnNames, compileMapper, csvRow, isTextual, type Mapper } from './mapping.js';

/** Rows looked at before the first one is sent. */
const sampleRows = 1_000;
/** Milliseconds a slow source is waited for to give that many, once its first records are there. */
const samplePatience = 2_000;

/** What is known before the first row is sent. */
export interface Prepared {
  /** The arrivals of the sample, followed by all that come after. */
  readonly arrivals: AsyncIterable<Arrival>;
  readonly sampled: number;
  readonly plan: SinkPlan;
  readonly mapper: Mapper;
  readonly textual: boolean;
  /** Of the splits that have one. */
  readonly fingerprints: Readonly<Record<string, string>>;
}

/** A job's name: its source, target, mode and key; never workers, batch size or secrets. */
export function jobId(source: Source, sink: Sink): string {
  return createHash('sha256')
    .update(JSON.stringify([source.identity, sink.identity]))
    .digest('hex')
    .slice(0, 16);
}

/** Reads a sample, and has the sink match it, and the columns of an earlier part of the run, with the target. Nothing is changed yet. */
export async function prepare(
  arrivals: AsyncGenerator<Arrival, void, void>,
  splits: readonly Split[],
  sink: Sink,
  columns: Columns | undefined,
  ignoreExtra: boolean,
  before: readonly string[],
  context: Context,
): Promise<Prepared> {
  const { sample, rest } = await takeSample(arrivals);
  const textual = sample[0] !== undefined && isTextual(sample[0].chunk, columns);
  const rows = sample.flatMap((arrival) => sampledRows(arrival, columns));
  const layouts = sample.flatMap(({ chunk }) => (chunk.kind === 'csv' ? [chunk.layout] : []));
  // A run that is gone on with may have met fields in its first part that this sample lacks.
  const names = [...new Set([...before, ...columnNames(columns, layouts, rows)])];
  if (names.length === 0) refuseUnreadable(sample);
  // One reject that is still bad must not cost the others: the field no column takes is refused with its record.
  const replayed = typeof columns !== 'object' && sample[0]?.chunk.replay !== undefined;
  const plan =
    names.length > 0
      ? await sink.plan(
          {
            columns: names,
            sample: sampledCells(sample, columns, names, textual),
            textual,
            ignoreExtra: ignoreExtra || replayed,
          },
          context,
        )
      : { columns: [], statements: [], notes: ['the source is empty'] };
  const mapper = compileMapper(columns, plan.columns, ignoreExtra);
  return {
    arrivals: rest,
    sampled: sample.reduce((sum, { chunk }) => sum + chunk.span.rows, 0),
    plan,
    mapper,
    textual,
    fingerprints: Object.fromEntries(splits.flatMap(({ id, fingerprint }) => (fingerprint ? [[id, fingerprint]] : []))),
  };
}

/** Records that can't be read are rejects, but where there is no other, nobody knows what to reject them from. */
function refuseUnreadable(sample: readonly Arrival[]): void {
  let rows = 0;
  let reason: string | undefined;
  for (const { chunk } of sample) {
    rows += chunk.span.rows;
    for (const defect of chunk.defects?.values() ?? [])
      if (defect.kind === 'malformed') reason ??= defect.refusal.reason;
  }
  if (reason === undefined) return;
  throw new SourceError(
    'no-readable-record',
    `none of the first ${rows} records could be read (${reason}), so that no column is known: check the format, or give the columns`,
  );
}

async function takeSample(
  arrivals: AsyncGenerator<Arrival, void, void>,
): Promise<{ sample: Arrival[]; rest: AsyncIterable<Arrival> }> {
  const sample: Arrival[] = [];
  let rows = 0;
  let pending = arrivals.next();
  const patience = new AbortController();
  let late: Promise<'late'> | undefined;
  try {
    while (rows < sampleRows) {
      let next: IteratorResult<Arrival, void> | 'late';
      try {
        next = late === undefined ? await pending : await Promise.race([pending, late]);
      } catch (error) {
        // What came before the error is still to be written; the error comes after it.
        if (sample.length > 0) break;
        throw error;
      }
      if (next === 'late' || next.done) break;
      late ??= sleep(samplePatience, 'late' as const, { signal: patience.signal });
      sample.push(next.value);
      rows += next.value.chunk.span.rows;
      pending = arrivals.next();
    }
  } finally {
    late?.catch(() => {});
    patience.abort();
  }
  pending.catch(() => {});
  return { sample, rest: resume(sample.slice(), pending, arrivals) };
}

async function* resume(
  sample: Arrival[],
  pending: Promise<IteratorResult<Arrival, void>>,
  arrivals: AsyncGenerator<Arrival, void, void>,
): AsyncGenerator<Arrival, void, void> {
  try {
    for (let arrival = sample.shift(); arrival !== undefined; arrival = sample.shift()) yield arrival;
    const next = await pending;
    if (next.done) return;
    yield next.value;
    yield* arrivals;
  } finally {
    await arrivals.return();
  }
}

/** The names of columns can depend on the rows: of records without a mapping, and of what a function makes. */
function sampledRows({ chunk }: Arrival, columns: Columns | undefined): Row[] {
  if (columns !== undefined && typeof columns !== 'function') return [];
  const rows: Row[] = [];
  if (chunk.kind === 'records') {
    for (const [i, record] of chunk.records.entries()) if (!chunk.defects?.has(i)) rows.push(record);
  } else if (columns !== undefined) {
    const fields: (string | null)[] = [];
    for (const [i, end] of chunk.ends.entries()) {
      const refusal = parseCsvRecord(chunk.layout, chunk.data, i === 0 ? 0 : chunk.ends[i - 1]!, end, fields);
      if (!refusal && !chunk.defects?.has(i)) rows.push(csvRow(chunk.layout, fields));
    }
  }
  return columns === undefined ? rows : rows.flatMap((row) => mapped(columns, row));
}

/** A row the function fails on is refused later, in its turn. */
function mapped(map: (record: Row) => Row, row: Row): Row[] {
  try {
    return [map(row)];
  } catch {
    return [];
  }
}

function sampledCells(
  sample: readonly Arrival[],
  columns: Columns | undefined,
  names: readonly string[],
  textual: boolean,
): Cell[][] {
  const mapper = compileMapper(columns, names, true);
  const slices = sample.map(({ chunk, start }): Slice => {
    const slice = { chunk, first: 0, last: chunk.span.rows, start };
    return chunk.kind === 'csv' ? { ...slice, csv: mapper.ofLayout(chunk.layout) } : slice;
  });
  const batch = new SlicedBatch(slices, mapper, textual);
  const cells: Cell[][] = [];
  for (let row = 0; row < batch.rows && cells.length < sampleRows; row++) {
    const into: Cell[] = new Array(names.length);
    if (!batch.refused.has(row) && !batch.duplicates.has(row) && !batch.cells(row, into)) cells.push(into);
  }
  return cells;
}
