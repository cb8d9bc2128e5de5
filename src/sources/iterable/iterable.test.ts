import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { collect } from '../../../test/collect.js';
import { readContext } from '../../../test/read-context.js';
import type { Chunk, ResumePoint, Row, Source } from '../../contract/index.js';
import { iterable, type RowOrRows } from './index.js';

type Records = Iterable<RowOrRows> | AsyncIterable<RowOrRows>;

async function read(records: Records, from?: ResumePoint): Promise<Chunk[]> {
  await using source = iterable(records);
  const context = readContext();
  const [split] = await collect(source.splits(context));
  return collect(source.read(split!, from, context));
}

function rows(chunks: readonly Chunk[]): Row[] {
  let next = chunks[0]?.span.from ?? 0;
  return chunks.flatMap((chunk) => {
    expect(chunk.span.from).toBe(next);
    expect(chunk.span.rows).toBeGreaterThan(0);
    next += chunk.span.rows;
    expect(chunk.span.next).toEqual({ row: next, token: next });
    if (chunk.kind !== 'records') throw new Error('not records');
    expect(chunk.records.length).toBe(chunk.span.rows);
    return [...chunk.records];
  });
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => ({ i }));

async function* asynchronous<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) yield item;
}

describe('iterable', () => {
  test('groups single records into chunks of up to a thousand', async () => {
    for (const records of [numbered(2500), new Set(numbered(2500)), asynchronous(numbered(2500))]) {
      const chunks = await read(records);
      expect(rows(chunks)).toEqual(numbered(2500));
      for (const { span } of chunks) expect(span.rows).toBeLessThanOrEqual(1000);
      // A synchronous iterable's chunk is cut when its turn is over, too: on a busy machine there may be a few more.
      expect(chunks.length).toBeLessThan(20);
    }
  });

  test('cuts chunks of large records by their size, and says about how large they are', async () => {
    const large = Array.from({ length: 200 }, () => ({ text: 'x'.repeat(10_000) }));
    for (const records of [large, asynchronous(large)]) {
      const chunks = await read(records);
      expect(rows(chunks)).toEqual(large);
      for (const chunk of chunks) expect(chunk.bytes).toBeLessThan(2_000_000);
      expect(chunks.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(2_000_000);
    }
  });

  test('hands arrays of records on as they come, but in chunks of at most a thousand', async () => {
    const arrays = [numbered(3), [], numbered(1), numbered(2100)];
    for (const records of [arrays, asynchronous(arrays)]) {
      const chunks = await read(records);
      expect(rows(chunks)).toEqual(arrays.flat());
      expect(chunks.map(({ span }) => span.rows)).toEqual([3, 1, 1000, 1000, 100]);
    }
  });

  test('keeps the order where records and arrays are mixed, and reads on from any row', async () => {
    const item = fc.oneof(
      fc.integer().map((i) => ({ i })),
      fc.array(fc.integer().map((i) => ({ i }))),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(item), fc.boolean(), fc.nat(40), async (items, isAsync, row) => {
        const flat = items.flat();
        const make = () => (isAsync ? asynchronous(items) : items);
        expect(rows(await read(make()))).toEqual(flat);
        const rest = await read(make(), { row, token: row });
        expect(rest[0]?.span.from ?? row).toBe(row);
        expect(rows(rest)).toEqual(flat.slice(row));
      }),
    );
  });

  test('knows the number of rows of an array of records only', async () => {
    const splits = (records: Records) => collect(iterable(records, { name: 'users' }).splits(readContext()));
    expect(await splits(numbered(3))).toEqual([{ id: 'users', rows: 3 }]);
    expect(await splits([numbered(3)])).toEqual([{ id: 'users' }]);
    expect(await splits(asynchronous(numbered(3)))).toEqual([{ id: 'users' }]);
    expect(iterable([], { name: 'users' }).identity).toBe('iterable:users');
  });

  test('takes records of an interface or a class, and refuses by their type what are no records', () => {
    interface City {
      readonly id: number;
      readonly name: string;
    }
    class Person {
      readonly #name: string;
      constructor(name: string) {
        this.#name = name;
      }
      get initial() {
        return this.#name[0];
      }
    }
    const cities: City[] = [{ id: 1, name: 'Aa' }];
    const people = [new Person('Ada')];
    const untyped: Record<string, unknown>[] = [{ id: 1 }];
    expectTypeOf(iterable(cities)).toEqualTypeOf<Source>();
    expect(iterable(new Set(people)).once).toBe(false);
    expect(iterable(asynchronous([cities, cities])).once).toBe(true);
    expect(iterable(asynchronous(untyped)).once).toBe(true);
    expect(iterable([{ id: 1, name: 'a' }, { id: 2 }]).once).toBe(false);
    // @ts-expect-error a number is no record
    iterable([1]);
    // @ts-expect-error nor a number in an array
    iterable([[1]]);
    // @ts-expect-error nor a pair
    iterable(new Map([['id', 1]]));
  });

  test.each([
    [5, 'found a value of type number'],
    ['abc', 'found a value of type string'],
    [undefined, 'found undefined'],
    [{ id: 1 }, 'found a value of type object'],
    [numbered, 'found a value of type function (call the generator function)'],
  ])('says what is expected when it is given %j', (records, found) => {
    // As a caller without types does.
    const make = () => Reflect.apply(iterable, undefined, [records]);
    expect(make).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'bad-option', message: expect.stringContaining(found) }),
    );
  });

  test('refuses options it does not know', () => {
    const make = () => Reflect.apply(iterable, undefined, [[], { nmae: 'users' }]);
    expect(make).toThrow(expect.objectContaining({ code: 'bad-option', message: expect.stringContaining('"nmae"') }));
  });

  test('makes a defect of what is no object', async () => {
    const odd = [{ a: 1 }, null, 'text', [[1]], { a: 2 }] as unknown as Row[];
    const chunks = await read(odd);
    const defects = chunks.flatMap(({ span, defects }) =>
      [...(defects ?? [])].map(([i, defect]) => [span.from + i, defect]),
    );
    const refusal = { code: 'not-an-object', reason: expect.any(String) };
    expect(defects).toEqual([
      [1, { kind: 'malformed', refusal, record: null }],
      [2, { kind: 'malformed', refusal, record: 'text' }],
      [3, { kind: 'malformed', refusal, record: [1] }],
    ]);
  });

  test.each(['sync', 'async'])(
    'an error of a %s iterable ends the reading after the records before it',
    async (kind) => {
      const fault = new Error('cursor lost');
      function* failing() {
        yield* numbered(1500);
        throw fault;
      }
      const chunks: Chunk[] = [];
      const source = iterable(kind === 'sync' ? failing() : asynchronous(failing()));
      const reading = (async () => {
        for await (const chunk of source.read({ id: 'records' }, undefined, readContext())) chunks.push(chunk);
      })();
      await expect(reading).rejects.toMatchObject({
        name: 'SourceError',
        code: 'iterable-failed',
        message: 'records failed after 1500 records: cursor lost',
        cause: fault,
      });
      expect(rows(chunks)).toEqual(numbered(1500));
    },
  );

  test('hands on the records of a slow iterable as they come', async () => {
    async function* slow() {
      yield { i: 0 };
      yield { i: 1 };
      await new Promise(() => {});
    }
    const chunks = iterable(slow()).read({ id: 'records' }, undefined, readContext())[Symbol.asyncIterator]();
    const { value } = await chunks.next();
    expect(value.records).toEqual([{ i: 0 }, { i: 1 }]);
    // Does not wait for the next() that never comes.
    await chunks.return?.();
  });

  test('stops waiting when the signal says so', async () => {
    const never: AsyncIterable<Row> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
    const abort = new AbortController();
    const reading = collect(iterable(never).read({ id: 'records' }, undefined, readContext(abort.signal)));
    setTimeout(() => abort.abort(new Error('enough')), 20);
    await expect(reading).rejects.toThrow('enough');
  });

  test.each(['sync', 'async'])('an iterable that is left early gets return()', async (kind) => {
    let ended = false;
    function* endless() {
      try {
        for (let i = 0; ; i++) yield { i };
      } finally {
        ended = true;
      }
    }
    const records = kind === 'sync' ? endless() : asynchronous(endless());
    for await (const chunk of iterable(records).read({ id: 'records' }, undefined, readContext())) {
      expect(chunk.span.rows).toBeGreaterThan(0);
      await nextTurn();
      break;
    }
    expect(ended).toBe(true);
  });

  test('reads no further ahead than a few chunks', async () => {
    let made = 0;
    async function* counted() {
      for (; ; made++) yield { made };
    }
    for await (const chunk of iterable(counted()).read({ id: 'records' }, undefined, readContext())) {
      await pause(20);
      expect(made).toBeLessThanOrEqual(chunk.span.from + 3000);
      if (chunk.span.from >= 10_000) break;
    }
  });

  test('a synchronous iterable, however slow, does not hold up the process', async () => {
    function* slow() {
      for (let i = 0; i < 200; i++) {
        const until = performance.now() + 1;
        while (performance.now() < until);
        yield { i };
      }
    }
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await read(slow());
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });
});
