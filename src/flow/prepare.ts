import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cell, Context, Intake, Row, Sink, SinkPlan, Source, Split } from '../contract/index.js';
import { SourceError } from '../errors.js';
import { parseCsvRecord } from '../formats/csv-record.js';
import { isLosslessNumber } from '../formats/json.js';
import { type Slice, SlicedBatch } from './batch.js';
import type { Arrival } from './batcher.js';
import {
  type Columns,
  columnNames,
  compileMapper,
  csvRow,
  describeColumn,
  type Fields,
  type Mapper,
  mapRow,
} from './mapping.js';
import { ReadAhead } from './read-ahead.js';

/** Rows looked at before the first one is sent, and bytes of them: as soon as there are as many of either. */
export const sampleRows = 1_000;
const sampleBytes = 4 * 1024 * 1024;
/** Milliseconds a slow source is waited for to give that many, once its first records are there. */
const samplePatience = 2_000;

/** What is known before the first row is sent. */
export interface Prepared {
  /** The arrivals of the sample, followed by all that come after. */
  readonly arrivals: AsyncIterable<Arrival>;
  readonly sampled: number;
  readonly plan: SinkPlan;
  readonly mapper: Mapper;
  /** What a person should know of a mapping that names what no record of the sample has. */
  readonly unseen: string | undefined;
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

interface ToPrepare {
  readonly splits: readonly Split[];
  readonly sink: Sink;
  readonly columns: Columns | undefined;
  readonly ignoreExtra: boolean;
  /** Columns of an earlier part of the run. */
  readonly before: readonly string[];
  /** Bytes by which reading goes on, at most, while the sink plans and opens. */
  readonly ahead: number;
}

/** Reads a sample, and has the sink match it, and the columns of an earlier part of the run, with the target. Nothing is changed yet. */
export async function prepare(
  arrivals: AsyncGenerator<Arrival, void, void>,
  { splits, sink, columns, ignoreExtra, before, ahead }: ToPrepare,
  context: Context,
): Promise<Prepared> {
  const { sample, rest } = await takeSample(arrivals, ahead);
  const rows = sample.flatMap((arrival) => sampledRows(arrival, columns));
  const layouts: Fields[] = splits.flatMap(({ fields }) => (fields === undefined ? [] : [{ fields }]));
  for (const { chunk } of sample) if (chunk.kind === 'csv') layouts.push(chunk.layout);
  // A run that is gone on with may have met fields in its first part that this sample lacks.
  const names = [...new Set([...before, ...columnNames(columns, layouts, rows)])];
  const sampled = sample.reduce((sum, { chunk }) => sum + chunk.span.rows, 0);
  if (names.length === 0 && sampled > 0) throw nothingUsable(sample, sampled, columns);
  // One reject that is still bad must not cost the others: the field no column takes is refused with its record.
  const replayed = typeof columns !== 'object' && sample[0]?.chunk.replay !== undefined;
  const intake = {
    columns: names,
    ...sampledCells(sample, columns, names),
    mapped: columns !== undefined,
    ignoreExtra: ignoreExtra || replayed,
  };
  const plan = await sink.plan(intake, context);
  const mapper = compileMapper(columns, plan.columns, ignoreExtra, plan.others);
  // A file that lacks what the mapping names is refused before the first row is sent.
  for (const layout of layouts) mapper.ofLayout(layout);
  return {
    arrivals: rest,
    sampled,
    plan: sampled > 0 ? plan : { ...plan, notes: ['the source is empty', ...plan.notes] },
    mapper,
    unseen: unseenFields(intake, columns),
    fingerprints: Object.fromEntries(splits.flatMap(({ id, fingerprint }) => (fingerprint ? [[id, fingerprint]] : []))),
  };
}

/** A path that leads nowhere fills its column with nothing, record by record, and no other check would notice. */
function unseenFields({ columns: names, sample }: Intake, columns: Columns | undefined): string | undefined {
  if (typeof columns !== 'object' || sample.length === 0) return undefined;
  const unseen = names.filter((_, i) => sample.every((cells) => cells[i] === undefined));
  if (unseen.length === 0) return undefined;
  const fields = unseen.map((name) => `${describeColumn(name, columns)} (column ${name})`);
  const sampled = sample.length === 1 ? 'the one record looked at' : `the ${sample.length} records looked at`;
  return `none of ${sampled} before the load has ${fields.join(', ')}: check the names and paths of the mapping`;
}

async function takeSample(
  arrivals: AsyncGenerator<Arrival, void, void>,
  ahead: number,
): Promise<{ sample: readonly Arrival[]; rest: AsyncIterable<Arrival> }> {
  const sample: Arrival[] = [];
  let rows = 0;
  let bytes = 0;
  let pending = arrivals.next();
  const patience = new AbortController();
  let late: Promise<'late'> | undefined;
  try {
    while (rows < sampleRows && bytes < sampleBytes) {
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
      bytes += next.value.bytes;
      pending = arrivals.next();
    }
  } finally {
    late?.catch(() => {});
    patience.abort();
  }
  return { sample, rest: new ReadAhead(arrivals, sample, pending, ahead) };
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

/** No record of the sample yields a column: nothing can be planned, and to go on would lose them all without a word. */
function nothingUsable(sample: readonly Arrival[], sampled: number, columns: Columns | undefined): SourceError {
  const { chunk } = sample[0]!;
  const defect = chunk.defects?.get(0);
  const reason =
    defect?.kind === 'malformed'
      ? defect.refusal.reason
      : typeof columns === 'function'
        ? 'the mapping function throws, or returns no fields'
        : 'it has no fields';
  const which = sampled === 1 ? 'the first record' : `each of the first ${sampled} records`;
  return new SourceError(
    'no-usable-record',
    `${chunk.span.split}: ${which} is unusable. The first: ${reason}. Check the format, where the records are, and the mapping`,
  );
}

/** A row the function fails on is refused later, in its turn. */
function mapped(map: (record: Row) => Row, row: Row): Row[] {
  try {
    return [mapRow(map, row)];
  } catch {
    return [];
  }
}

function sampledCells(
  sample: readonly Arrival[],
  columns: Columns | undefined,
  names: readonly string[],
): Pick<Intake, 'sample' | 'textual'> {
  const mapper = compileMapper(columns, names, true);
  const textual = mapper.keepsText && sample.some(({ chunk }) => chunk.kind === 'csv');
  const mixed = textual && sample.some(({ chunk }) => chunk.kind === 'records');
  const cells: Cell[][] = [];
  for (const { chunk, start } of sample) {
    const slice: Slice = { chunk, first: 0, last: chunk.span.rows, start };
    const csv = chunk.kind === 'csv' ? { csv: mapper.ofLayout(chunk.layout) } : {};
    const batch = new SlicedBatch([{ ...slice, ...csv }], mapper);
    const places = names.map((name) => batch.columns.indexOf(name));
    const into: Cell[] = [];
    for (let row = 0; row < batch.rows && cells.length < sampleRows; row++) {
      if (batch.refused.has(row) || batch.duplicates.has(row) || batch.cells(row, into)) continue;
      cells.push(places.map((place) => (mixed ? plainText(into[place]) : into[place])));
    }
  }
  return { sample: cells, textual };
}

/** Among the text of CSV files the values of JSON files are judged by the text they are written as. */
function plainText(cell: Cell): Cell {
  if (isLosslessNumber(cell)) return cell.value;
  return typeof cell === 'number' || typeof cell === 'boolean' ? String(cell) : cell;
}
