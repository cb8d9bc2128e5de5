import { createHash } from 'node:crypto';
import * as z from 'zod';
import { parseJson } from '../../formats/json.js';

/** Raised when the records change; a file of a higher version is refused. */
export const version = 1;

const count = z.number().int().nonnegative();

/** Record 0: what the run is, and whose turn at it this file is. */
const header = z.object({
  sluice: z.literal('ledger'),
  version: z.literal(version),
  run: z.string(),
  job: z.string(),
  epoch: count,
  source: z.string(),
  sink: z.string(),
  columns: z.array(z.string()),
  fingerprints: z.record(z.string(), z.string()),
  /** When the run was started, by its first holder. */
  started: z.iso.datetime(),
  holder: z.string(),
  /** When this holder took it. */
  since: z.iso.datetime(),
});
export type Header = z.infer<typeof header>;

const span = z.object({
  split: z.string(),
  from: count,
  rows: count,
  next: z.object({ row: count, token: z.unknown().optional() }),
});
const reject = z.object({
  split: z.string(),
  row: count,
  code: z.string(),
  reason: z.string(),
  column: z.string().optional(),
  record: z.unknown().optional(),
});

const statuses = [
  'complete',
  'complete-with-rejects',
  'too-many-rejects',
  'incomplete',
  'failed',
  'interrupted',
] as const;

const entry = z.union([
  z.object({ spans: z.array(span), rejects: z.array(reject) }),
  z.object({ ended: z.enum(statuses), at: z.iso.datetime() }),
  /** So many records before this one were durable before the file had its name: they can't be a torn tail. */
  z.object({ base: count }),
]);
export type Entry = z.infer<typeof entry>;

/** Hexadecimal digits of a record's checksum: the first 8 bytes of SHA-256. */
const digits = 16;

/**
 * One record as a line: checksum, space, number of the record in the file, space, JSON, newline. JSON has no newline in it.
 * `salt` is empty for record 0, and that record's checksum for the others, so that what an earlier file left on the disk
 * is never taken for a record of this one.
 */
export function encodeRecord(salt: string, number: number, json: string): Buffer {
  const line = Buffer.from(`${'0'.repeat(digits)} ${number} ${json}\n`);
  line.write(checksum(salt, line.subarray(digits + 1, -1)), 'latin1');
  return line;
}

export interface RawRecord {
  readonly sum: string;
  readonly number: number;
  readonly json: string;
}

/** A line, without its newline, whose checksum is right; undefined when it is not. */
export function decodeRecord(salt: string, line: Buffer): RawRecord | undefined {
  const sum = line.toString('latin1', 0, digits);
  const body = line.subarray(digits + 1);
  if (line[digits] !== 0x20 || checksum(salt, body) !== sum) return undefined;
  const space = body.indexOf(0x20);
  return { sum, number: Number(body.toString('latin1', 0, space)), json: body.toString('utf8', space + 1) };
}

/** Undefined when the record is not one that this version knows. */
export function parseHeader(json: string): Header | undefined {
  return header.safeParse(parseJson(json)).data;
}

/** Undefined when the record is not one that this version knows. */
export function parseEntry(json: string): Entry | undefined {
  return entry.safeParse(parseJson(json)).data;
}

function checksum(salt: string, bytes: Buffer): string {
  return createHash('sha256').update(salt).update(bytes).digest('hex').slice(0, digits);
}
