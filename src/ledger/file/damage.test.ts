import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { globSync } from 'tinyglobby';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Checkpoint, Context, Ledger, Reject, RunRequest, RunStatus, Span } from '../../contract/index.js';
import { SluiceError } from '../../errors.js';
import { fileLedger } from '../file-ledger.js';
import { encodeRecord } from './record.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-ledger-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const never = new AbortController().signal;
const fixed = { run: 'r1', job: 'job', source: 'file:a.csv', sink: 'sink', holder: 'me', columns: ['id'] };
const request: RunRequest = { ...fixed, fingerprints: { s: 'f1' }, resume: 'latest', mayBeAlive: () => false };

function contextOf({ run, epoch }: Checkpoint): Context {
  return { run, job: 'job', epoch, signal: never, log: { debug() {}, info() {}, warn() {} } };
}

interface Settled {
  readonly spans: readonly Span[];
  readonly rejects: readonly Reject[];
}

/** What a run settled, batch by batch, and the file that says so. */
interface Written {
  readonly path: string;
  readonly bytes: Buffer;
  /** Where each record of the file ends. */
  readonly ends: readonly number[];
  /** Records that were there when the file got its name. */
  readonly base: number;
  readonly batches: readonly Settled[];
}

/** Batches of any spans, some with rejects. Rows differ, so that none is mistaken for another. */
const batches = fc
  .array(
    fc.record({
      split: fc.constantFrom('s', 'file:ü.csv', 'other'),
      spans: fc.integer({ min: 1, max: 3 }),
      token: fc.jsonValue(),
      rejects: fc.integer({ min: 0, max: 2 }),
      record: fc.jsonValue({ stringUnit: 'binary' }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((shapes): Settled[] => {
    let row = 0;
    const spanOf = (split: string, token: unknown): Span => {
      row += 10;
      return { split, from: row - 10, rows: 10, next: { row, token } };
    };
    return shapes.map(({ split, spans, token, rejects, record }) => ({
      spans: Array.from({ length: spans }, () => spanOf(split, token)),
      rejects: Array.from({ length: rejects }, (_, i) => ({ split, row: row + i, code: 'X', reason: 'no', record })),
    }));
  });

/** Settles in a folder of its own; `earlier` batches by a holder before, whose run is gone on with. */
async function settle(given: readonly Settled[], earlier: number, ended?: RunStatus): Promise<Written> {
  await rm(folder, { recursive: true, force: true });
  let ledger: Ledger | undefined;
  let context: Context | undefined;
  for (const [i, { spans, rejects }] of given.entries()) {
    if (ledger === undefined || context === undefined || i === earlier) {
      ledger = fileLedger(folder);
      context = contextOf(await ledger.begin(request, never));
    }
    await ledger.settle!(spans, rejects, context);
  }
  if (ended !== undefined) await ledger!.finish(ended, context!);
  const path = segments()[0]!;
  const bytes = await readFile(path);
  const ends = [...bytes.keys()].filter((at) => bytes[at] === 0x0a).map((at) => at + 1);
  const base = earlier < given.length ? earlier + 2 : 2;
  return { path, bytes, ends, base, batches: given };
}

const segments = () => globSync('*/*.ledger', { cwd: folder, absolute: true });

/** How many of the batches a resume finds; `refused` when it says that it can't know. Anything else is a wrong resume. */
async function found({ batches }: Written): Promise<number | 'refused'> {
  try {
    const checkpoint = await fileLedger(folder).find({ job: 'job', resume: 'latest' }, never);
    return settledIn(checkpoint!, batches);
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'ledger-damaged') throw error;
    expect(error.message).toContain(segments()[0]);
    expect(error.message).toMatch(/at byte \d+/);
    return 'refused';
  }
}

/** The checkpoint is that of the first so many batches, to the letter. */
function settledIn({ spans, rejected }: Checkpoint, batches: readonly Settled[]): number {
  let count = 0;
  for (let seen = 0; seen < spans.length; count++) seen += batches[count]!.spans.length;
  const prefix = batches.slice(0, count);
  expect(spans).toEqual(overJson(prefix.flatMap((batch) => batch.spans)));
  expect(rejected).toBe(prefix.reduce((sum, { rejects }) => sum + rejects.length, 0));
  return count;
}

const overJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Going on from what is left: a new span is settled, and nothing else changes. */
async function goOn(written: Written, kept: number): Promise<void> {
  const ledger = fileLedger(folder);
  const checkpoint = await ledger.begin(request, never);
  expect(settledIn(checkpoint, written.batches)).toBe(kept);
  const more = { split: 'more', from: 0, rows: 1, next: { row: 1, token: 'more' } };
  await ledger.settle!([more], [], contextOf(checkpoint));
  const after = await fileLedger(folder).find({ job: 'job', resume: 'latest' }, never);
  expect(after?.spans).toEqual([...checkpoint.spans, more]);
}

const earlierOf = (given: readonly Settled[], share: number) => Math.floor(share * (given.length + 1));
const share = fc.integer({ min: 0, max: 999_999 }).map((millionths) => millionths / 1_000_000);

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

describe('the file of a ledger', () => {
  const example: Settled[] = Array.from({ length: 4 }, (_, i) => ({
    spans: [{ split: 's', from: i * 10, rows: 10, next: { row: i * 10 + 10, token: { offset: i * 99 } } }],
    rejects: i < 3 ? [{ split: 's', row: i * 10 + 3, code: 'X', reason: 'no', record: { n: 'ü' } }] : [],
  }));

  test('cut at every byte of its last record has lost that record, and nothing else', async () => {
    const written = await settle(example, 2);
    expect(written.ends).toHaveLength(6);
    for (let length = written.ends.at(-2)!; length < written.bytes.length; length++) {
      await writeFile(written.path, written.bytes.subarray(0, length));
      expect(await found(written)).toBe(3);
    }
    await writeFile(written.path, written.bytes);
    expect(await found(written)).toBe(4);
  });

  test('with any bit of its last record flipped has lost that record, and nothing else', async () => {
    const written = await settle(example, 2);
    for (let bit = written.ends.at(-2)! * 8; bit < written.bytes.length * 8; bit++) {
      await writeFile(written.path, flipped(written.bytes, bit));
      expect(await found(written)).toBe(3);
    }
  });

  test('cut anywhere is a shorter one, or refused where that much was sure to be there', async () => {
    await fc.assert(
      fc.asyncProperty(batches, share, share, async (given, earlier, at) => {
        const written = await settle(given, earlierOf(given, earlier));
        const length = Math.floor(at * (written.bytes.length + 1));
        await truncate(written.path, length);
        const whole = written.ends.filter((end) => end <= length).length;
        const kept = await found(written);
        expect(kept).toBe(whole < written.base ? 'refused' : whole - 2);
        if (kept !== 'refused') await goOn(written, kept);
      }),
      { numRuns: 30 },
    );
  });

  test('with any bit flipped is a shorter one at its end, and refused anywhere else', async () => {
    await fc.assert(
      fc.asyncProperty(
        batches,
        share,
        fc.array(share, { minLength: 10, maxLength: 10 }),
        async (given, earlier, ats) => {
          const written = await settle(given, earlierOf(given, earlier));
          for (const at of ats) {
            const bit = Math.floor(at * written.bytes.length * 8);
            await writeFile(written.path, flipped(written.bytes, bit));
            const record = written.ends.findIndex((end) => bit >> 3 < end);
            // The newline in front of the last record is part of both.
            const hit = [record, ...(written.ends.includes((bit >> 3) + 1) ? [record + 1] : [])];
            const atEnd = hit.some((one) => one >= written.ends.length - 1) && record >= written.base;
            expect(await found(written)).toBe(atEnd ? record - 2 : 'refused');
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  test('with a piece overwritten, doubled, moved or taken out never tells of what was not settled', async () => {
    const damage = fc.record({
      kind: fc.constantFrom('zero', 'noise', 'out', 'double', 'swap'),
      from: share,
      to: share,
    });
    await fc.assert(
      fc.asyncProperty(batches, share, damage, async (given, earlier, { kind, from, to }) => {
        const written = await settle(given, earlierOf(given, earlier));
        const { bytes } = written;
        const [start, end] = [from, to].map((at) => Math.floor(at * bytes.length)).sort((a, b) => a - b) as [
          number,
          number,
        ];
        const [head, piece, tail] = [bytes.subarray(0, start), bytes.subarray(start, end), bytes.subarray(end)];
        const changed = {
          zero: [head, Buffer.alloc(piece.length), tail],
          noise: [head, Buffer.from(piece.map((byte, i) => byte ^ (i * 37 + 1))), tail],
          out: [head, tail],
          double: [head, piece, piece, tail],
          swap: [piece, head, tail],
        };
        await writeFile(written.path, Buffer.concat(changed[kind]));
        // Fails when what is found is not what the first so many batches settled.
        await found(written);
      }),
      { numRuns: 60 },
    );
  });

  test('with a record repeated, left out or moved in front of another is refused', async () => {
    const written = await settle(example, 4);
    const { bytes, ends } = written;
    const record = (i: number) => bytes.subarray(ends[i - 1] ?? 0, ends[i]);
    const all = ends.map((_, i) => record(i));
    const orders = [
      [0, 1, 2, 3, 3, 4, 5],
      [0, 1, 2, 4, 5],
      [0, 1, 3, 2, 4, 5],
      [0, 1, 2, 3, 4, 5, 5],
      [1, 2, 3],
      [0, 2, 3],
    ];
    for (const order of orders) {
      await writeFile(written.path, Buffer.concat(order.map((i) => all[i]!)));
      expect(await found(written)).toBe('refused');
    }
    await writeFile(written.path, Buffer.concat([0, 1, 2, 3].map((i) => all[i]!)));
    expect(await found(written)).toBe(2);
  });

  test('takes no record of another file for its own', async () => {
    const other = await settle(example, 4);
    const stale = other.bytes.subarray(other.ends[2]!, other.ends[3]!);
    await rm(folder, { recursive: true });
    const written = await settle(example.slice(0, 1), 4);
    await writeFile(written.path, Buffer.concat([written.bytes, stale]));
    expect(await found(written)).toBe(1);
  });

  test('that ends in zeros is cut there', async () => {
    const written = await settle(example, 4);
    await truncate(written.path, 5 * 1024 * 1024);
    expect(await found(written)).toBe(4);
  });

  test('of a complete run is refused when it is cut or changed anywhere', async () => {
    const written = await settle(example, 4, 'complete-with-rejects');
    const intact = await fileLedger(folder).find({ job: 'job', resume: 'latest' }, never);
    expect(intact).toMatchObject({ ended: 'complete-with-rejects', rejected: 3 });
    expect(intact?.spans).toEqual([{ split: 's', from: 0, rows: 40, next: { row: 40, token: { offset: 297 } } }]);
    for (let length = 0; length < written.bytes.length; length += 17) {
      await writeFile(written.path, written.bytes.subarray(0, length));
      expect(await found(written)).toBe('refused');
      await writeFile(written.path, flipped(written.bytes, length * 8 + (length % 8)));
      expect(await found(written)).toBe('refused');
    }
  });

  test('that can’t be trusted does not keep a new run from starting, nor itself from being pruned', async () => {
    const written = await settle(example, 4, 'failed');
    await writeFile(written.path, 'nothing of ours\n');
    await expect(fileLedger(folder).begin(request, never)).rejects.toMatchObject({ code: 'ledger-damaged' });
    await expect(fileLedger(folder).runs(never)).rejects.toMatchObject({ code: 'ledger-damaged' });
    const ledger = fileLedger(folder);
    const checkpoint = await ledger.begin({ ...request, run: 'r2', resume: 'no', mayBeAlive: () => true }, never);
    await ledger.finish('complete', contextOf(checkpoint));
    expect(await ledger.prune(1, never)).toBe(1);
    expect((await ledger.runs(never)).map(({ run }) => run)).toEqual(['r2']);
  });

  test('of a later version is left alone', async () => {
    const written = await settle(example, 4, 'failed');
    const [header = ''] = written.bytes.toString().split('\n');
    const later = header.slice(header.indexOf('{')).replace('"version":1', '"version":2');
    await writeFile(written.path, encodeRecord('', 0, later));
    await expect(fileLedger(folder).begin(request, never)).rejects.toMatchObject({ code: 'ledger-version' });
  });
});
