import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Chunk, Defect, ReadContext, ResumePoint, Row, Source, Split } from '../../contract/index.js';
import { ConfigError, messageOf, SluiceError, SourceError } from '../../errors.js';
import { sampledBytes } from './approximate-bytes.js';
import { Grouping, maxRows } from './group.js';
import { Readahead } from './readahead.js';

/** An object of any type, an interface's or a class's too; but nothing that can be iterated: that would be several. */
type RecordObject = object & { readonly [Symbol.iterator]?: never };

/** One record, or several at once. */
export type RowOrRows = RecordObject | readonly RecordObject[];

export interface IterableOptions {
  /** Names the records in the report and in rejects; part of the job's identity. Default `records`. */
  readonly name?: string;
}

/** Longest time, in ms, that a synchronous iterable is read at a stretch. */
const maxTurn = 20;

/**
 * Records, or arrays of records, from any iterable or async iterable: an array, a generator, a database cursor.
 * It is one split; a record's position is its number, and a resume passes over the records before it.
 * What is no object is a defect (`not-an-object`). An error the iterable throws ends the reading as SourceError
 * `iterable-failed`, with the error as its cause. An iterable that is left early gets `return()`.
 * @throws ConfigError `bad-option` when it is given something else.
 */
export function iterable<Item extends RowOrRows>(
  records: Iterable<Item> | AsyncIterable<Item>,
  options: IterableOptions = {},
): Source {
  if (!isIterable(records)) {
    const uncalled = typeof records === 'function' ? ' (call the generator function)' : '';
    throw new ConfigError(
      'bad-option',
      `iterable: expected an iterable or async iterable of records, such as an array or a generator, found ${kindOf(records)}${uncalled}`,
    );
  }
  const { name = 'records', ...unknown } = options;
  if (typeof name !== 'string' || name === '') throw new ConfigError('bad-option', 'iterable: name: expected a text');
  for (const option of Object.keys(unknown)) {
    throw new ConfigError('bad-option', `iterable: unknown option "${option}": there is only name`);
  }
  return {
    name: 'iterable',
    identity: `iterable:${name}`,
    // Arrays and sets begin anew each time; what is its own iterator, or can't be looked into, does not.
    once: !(Array.isArray(records) || records instanceof Set),

    async *splits(): AsyncGenerator<Split> {
      yield Array.isArray(records) && !records.some(Array.isArray) ? { id: name, rows: records.length } : { id: name };
    },

    async *read(split: Split, from: ResumePoint | undefined, { signal }: ReadContext): AsyncGenerator<Chunk> {
      const groups = Symbol.asyncIterator in records ? new Readahead(records, signal).groups() : syncGroups(records);
      let row = 0;
      const skip = from?.row ?? 0;
      try {
        for await (const group of groups) {
          signal.throwIfAborted();
          for (let at = 0; at < group.length; at += maxRows) {
            const whole = group.length <= maxRows ? group : group.slice(at, at + maxRows);
            const rows = row < skip ? whole.slice(skip - row) : whole;
            row += whole.length;
            if (rows.length > 0) yield chunkOf(split.id, row - rows.length, rows);
          }
        }
      } catch (cause) {
        if (signal.aborted || cause instanceof SluiceError) throw cause;
        throw new SourceError('iterable-failed', `${name} failed after ${row} records: ${messageOf(cause)}`, { cause });
      }
    },

    async [Symbol.asyncDispose]() {},
  };
}

/** A text is one too, but of letters. */
function isIterable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);
}

function kindOf(value: unknown): string {
  return value === null || value === undefined ? String(value) : `a value of type ${typeof value}`;
}

async function* syncGroups(records: Iterable<unknown>): AsyncGenerator<readonly unknown[], void> {
  const gathered = new Grouping();
  let turn = performance.now();
  let seen = 0;
  let failure: { readonly cause: unknown } | undefined;
  try {
    for (const item of records) {
      gathered.add(item);
      // The clock is asked now and then only.
      const long = (++seen & 15) === 0 && performance.now() - turn > maxTurn;
      if (!gathered.full && !long) continue;
      yield* gathered.take();
      await nextTurn();
      turn = performance.now();
    }
  } catch (cause) {
    failure = { cause };
  }
  // What came before a failure is good.
  yield* gathered.take();
  if (failure) throw failure.cause;
}

function chunkOf(split: string, from: number, rows: readonly unknown[]): Chunk {
  const to = from + rows.length;
  const span = { split, from, rows: rows.length, next: { row: to, token: to } };
  const bytes = sampledBytes(rows);
  if (rows.every(isRow)) return { kind: 'records', span, bytes, records: rows };
  const defects = new Map<number, Defect>();
  const records = rows.map((row, i) => {
    if (isRow(row)) return row;
    const refusal = { code: 'not-an-object', reason: 'a record must be an object' };
    defects.set(i, { kind: 'malformed', refusal, record: row });
    return {};
  });
  return { kind: 'records', span, bytes, records, defects };
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
