import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CsvLayout } from '../contract/index.js';
import { SlicedBatch } from './batch.js';
import { hashKeys, type KeyHashes } from './key-hashes.js';
import { KeyTable } from './key-table.js';
import { compileMapper } from './mapping.js';

const layout: CsvLayout = { fields: ['a', 'b', 'c'], delimiter: ',', quote: '"', null: '', eol: '\n' };
const start = { row: 0, token: null };

function whole<Value>(steps: Generator<void, Value, void>): Value {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function ofCsv(lines: readonly string[]): SlicedBatch {
  const data = Buffer.from(lines.join(''));
  let end = 0;
  const ends = Uint32Array.from(lines, (line) => (end += Buffer.byteLength(line)));
  const span = { split: 's', from: 0, rows: lines.length, next: start };
  const chunk = { kind: 'csv', span, bytes: data.length, layout, data, ends } as const;
  const mapper = compileMapper(undefined, layout.fields, false);
  const slice = { chunk, first: 0, last: lines.length, start, csv: mapper.ofLayout(layout) };
  return new SlicedBatch([slice], mapper);
}

function ofRecords(records: readonly Record<string, string>[]): SlicedBatch {
  const rows = records.length;
  const chunk = {
    kind: 'records',
    span: { split: 's', from: 0, rows, next: start },
    bytes: rows,
    records,
  } as const;
  const mapper = compileMapper(undefined, layout.fields, false);
  return new SlicedBatch([{ chunk, first: 0, last: rows, start }], mapper);
}

const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;

describe('hashKeys', () => {
  test('hashes a field of CSV, quoted or bare, as the same text in a record', () => {
    const text = fc.stringMatching(/^[a-z0-9äß,"\n ]{1,8}$/);
    const rows = fc.array(fc.record({ a: text, b: text, c: text }), { minLength: 1, maxLength: 20 });
    const key = fc.shuffledSubarray(['a', 'b', 'c'], { minLength: 1 });
    fc.assert(
      fc.property(rows, key, fc.boolean(), (records, key, needless) => {
        const cell = (value: string) => (needless || /[,"\n]/.test(value) ? quoted(value) : value);
        const lines = records.map(({ a, b, c }) => `${[a, b, c].map(cell).join(',')}\n`);
        expect(whole(hashKeys(ofCsv(lines), key))).toEqual(whole(hashKeys(ofRecords(records), key)));
      }),
    );
  });

  test('what is no record does not stop it', () => {
    const { low } = whole(hashKeys(ofCsv(['1,2,3\n', '"1\n', '2\n', '\n', '4,5,6']), ['c']));
    expect(low.length).toBe(2);
  });
});

describe('KeyTable', () => {
  test('holds what was held and not given back, as a set for each holder would', () => {
    const keys = fc.uniqueArray(fc.nat(40), { minLength: 1, maxLength: 30 });
    const steps = fc.array(fc.oneof(keys, fc.nat(5)), { maxLength: 60 });
    fc.assert(
      fc.property(steps, fc.constantFrom(1, 0x1000), (steps, spread) => {
        const table = new KeyTable();
        table.release(table.hold({ low: new Uint32Array(0), high: new Uint32Array(0) }));
        const model = new Map<number, readonly number[]>();
        const hashes = (keys: readonly number[]): KeyHashes => ({
          low: Uint32Array.from(keys, (key) => key * spread),
          high: Uint32Array.from(keys),
        });
        for (const step of steps) {
          if (typeof step === 'number') {
            const holder = [...model.keys()][step];
            if (holder === undefined) continue;
            table.release(holder);
            model.delete(holder);
          } else {
            // Whoever wants a key that is held waits for it.
            const free = step.filter((key) => ![...model.values()].flat().includes(key));
            model.set(table.hold(hashes([...free, ...free])), free);
          }
          const held = new Set([...model.values()].flat());
          for (let key = 0; key <= 40; key++) expect(table.holdsAny(hashes([key]))).toBe(held.has(key));
        }
      }),
    );
  });

  test('a batch without a single key holds nothing', () => {
    const table = new KeyTable();
    const none = { low: new Uint32Array(0), high: new Uint32Array(0) };
    const one = { low: Uint32Array.of(7), high: Uint32Array.of(7) };
    table.hold(none);
    expect(table.holdsAny(one)).toBe(false);
    expect(table.holdsAny(none)).toBe(false);
  });

  test('a key that repeats a hundred thousand times takes one slot', () => {
    const table = new KeyTable();
    const low = new Uint32Array(100_000).fill(7);
    const holder = table.hold({ low, high: low });
    // In one chain of so many slots each look would go through all of them: seconds for these.
    for (let i = 0; i < 20_000; i++) table.holdsAny({ low: Uint32Array.of(7), high: Uint32Array.of(i) });
    expect(table.holdsAny({ low: Uint32Array.of(7), high: Uint32Array.of(7) })).toBe(true);
    table.release(holder);
    expect(table.holdsAny({ low: Uint32Array.of(7), high: Uint32Array.of(7) })).toBe(false);
  });

  test('grows with what it holds', () => {
    const table = new KeyTable();
    const count = 100_000;
    const all = {
      low: Uint32Array.from({ length: count }, (_, i) => Math.imul(i, 0x9e3779b1)),
      high: new Uint32Array(count),
    };
    const half = { low: all.low.subarray(0, count / 2), high: all.high.subarray(0, count / 2) };
    const first = table.hold(half);
    table.hold({ low: all.low.subarray(count / 2), high: half.high });
    table.release(first);
    expect(table.holdsAny(half)).toBe(false);
    expect(table.holdsAny({ low: all.low.subarray(-1), high: all.high.subarray(-1) })).toBe(true);
  });
});
