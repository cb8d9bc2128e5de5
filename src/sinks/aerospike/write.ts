import type { Batch, Context, Refusal, Reject, WriteResult } from '../../contract/index.js';
import { codeOf, InDoubt, messageOf, NotWritten, SluiceError } from '../../errors.js';
import type { Cluster } from './cluster.js';
import { DigestTable } from './duplicates.js';
import { severityOf } from './errors.js';
import type { Layout } from './layout.js';
import type { Node } from './node.js';
import { type Parcel, Parcels } from './parcel.js';
import { resultOf } from './results.js';
import { RowEncoder } from './row-encoder.js';
import type { WriteSettings } from './wire/write-message.js';

/** What became of a row. */
const pending = 0;
const written = 1;
const unchanged = 2;
const duplicate = 3;
const refused = 4;

/** Result codes with a meaning of their own here. */
const notFound = 2;
const generationDiffers = 3;
const exists = 5;
const timedOut = 9;
const sessionExpired = 66;

interface Parts {
  readonly cluster: Cluster;
  readonly layout: Layout;
  readonly settings: WriteSettings;
  /** Milliseconds a server may take for a message. */
  readonly timeout: number;
  /** Of the rows with one key the first is kept, for the others would find it there. */
  readonly firstWins: boolean;
  /** A record that is not there is as it was wanted: nothing but nulls was to be written. */
  readonly mayBeAbsent: boolean;
}

/** A fault of the moment, or one that no row can be blamed for. */
interface Fault {
  readonly code: string;
  readonly message: string;
  readonly cause?: unknown;
}

/** A batch that is not done yet: what became of its rows so far. A batch that is tried again goes on with the rest. */
class Progress {
  readonly rows: Uint8Array;
  /** Rows that may be written already, for their answer was lost. */
  readonly doubtful = new Set<number>();
  readonly refusals: Map<number, Refusal>;
  /** Rows with the key of another, by that one, the one to be written next the last. */
  readonly losers = new Map<number, number[]>();
  encoded = false;

  constructor(batch: Batch) {
    this.rows = new Uint8Array(batch.rows);
    this.refusals = new Map(batch.refused);
    for (const row of batch.refused.keys()) this.rows[row] = refused;
    for (const row of batch.duplicates) this.rows[row] = duplicate;
  }
}

/** Writes batches: records grouped by the master of their partition, one message a node, each answered by its own result. */
export class Writer {
  readonly #parts: Parts;
  readonly #parcels: Parcels;
  readonly #encoders = new WeakMap<readonly string[], RowEncoder>();
  readonly #unfinished = new WeakMap<Batch, Progress>();
  readonly #digests = new DigestTable();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#parcels = new Parcels(parts.settings);
  }

  /**
   * Writes what is not written yet of a batch.
   * @throws NotWritten, or InDoubt where some of it is written or may be, with the code of what stood in the way.
   */
  async write(batch: Batch, context: Context): Promise<WriteResult> {
    const { signal } = context;
    signal.throwIfAborted();
    const progress = this.#unfinished.get(batch) ?? new Progress(batch);
    this.#unfinished.set(batch, progress);
    for (;;) {
      const faults: Fault[] = [];
      const parcels = this.#encode(batch, progress, faults);
      await Promise.all([...parcels].map(([node, parcel]) => this.#send(node, parcel, progress, faults, signal)));
      if (faults.length > 0) throw this.#failure(progress, faults);
      // A row that was refused by the server gives way to one that has its key.
      if (!progress.rows.includes(pending)) break;
    }
    this.#unfinished.delete(batch);
    return resultOfBatch(batch, progress);
  }

  #encode(batch: Batch, progress: Progress, faults: Fault[]): Map<Node, Parcel> {
    const encoder = this.#encoderOf(batch.columns);
    const parcels = new Map<Node, Parcel>();
    const { rows } = progress;
    const again = progress.encoded;
    progress.encoded = true;
    if (!again) this.#digests.begin(batch.rows);
    const { firstWins } = this.#parts;
    let homeless = 0;
    for (let i = 0; i < batch.rows; i++) {
      // From the end, so that of rows with one key the last is the first to be met.
      const row = firstWins ? i : batch.rows - 1 - i;
      if (rows[row] !== pending) continue;
      const refusal = encoder.read(batch, row);
      if (refusal !== undefined) {
        refuse(progress, row, refusal);
        continue;
      }
      if (!again) {
        const holder = this.#digests.claim(row, encoder.key.words);
        if (holder >= 0) {
          rows[row] = duplicate;
          const losers = progress.losers.get(holder);
          if (losers === undefined) progress.losers.set(holder, [row]);
          else losers.unshift(row);
          continue;
        }
      }
      const node = this.#parts.cluster.masterOf(encoder.key.partition);
      if (node === undefined) {
        homeless += 1;
        continue;
      }
      let parcel = parcels.get(node);
      if (parcel === undefined) {
        parcel = this.#parcels.take(node.batches);
        parcels.set(node, parcel);
      }
      const faulty = encoder.add(parcel.message);
      if (faulty === undefined) {
        parcel.added(row);
      } else {
        if (!again) this.#digests.withdraw();
        refuse(progress, row, faulty);
      }
    }
    if (homeless > 0) {
      faults.push({
        code: 'partition-unavailable',
        message: `${homeless} records belong to partitions that no node has at the moment`,
      });
    }
    return parcels;
  }

  async #send(node: Node, parcel: Parcel, progress: Progress, faults: Fault[], signal: AbortSignal): Promise<void> {
    const { message } = parcel;
    if (message.count === 0) {
      this.#parcels.give(parcel);
      return;
    }
    parcel.awaitAnswers();
    let sent = false;
    try {
      const connection = await node.pool.take(signal);
      const abort = () =>
        connection.close(new SluiceError('aborted', 'the write was abandoned', { cause: signal.reason }));
      signal.addEventListener('abort', abort, { once: true });
      try {
        sent = true;
        await connection.write(message.finish(this.#parts.timeout), (body) => parcel.take(body));
        // The next one to be opened logs in anew.
        if (parcel.codeOf(0) === sessionExpired) connection.close();
      } finally {
        signal.removeEventListener('abort', abort);
        node.pool.give(connection);
      }
    } catch (error) {
      this.#settle(parcel, progress, faults, sent);
      faults.push({ code: codeOf(error) ?? 'connection-lost', message: messageOf(error), cause: error });
      return;
    }
    this.#settle(parcel, progress, faults, false);
    this.#parcels.give(parcel);
  }

  /** Takes over what was answered. Rows without an answer are in doubt when they were sent. */
  #settle(parcel: Parcel, progress: Progress, faults: Fault[], lost: boolean): void {
    const { rows } = progress;
    const counts = new Map<number, number>();
    for (let at = 0; at < parcel.message.count; at++) {
      const row = parcel.rows[at]!;
      const code = parcel.codeOf(at);
      if (code === 0) {
        rows[row] = written;
        continue;
      }
      if (code < 0) {
        if (lost) progress.doubtful.add(row);
        continue;
      }
      if (code === timedOut) progress.doubtful.add(row);
      const { verdict, name, meaning, remedy } = resultOf(code);
      if (verdict === 'reject') {
        if (this.#isAsWanted(code, progress.doubtful.has(row))) rows[row] = unchanged;
        else refuse(progress, row, { code: name, reason: sentence(meaning, remedy) });
      } else {
        counts.set(code, (counts.get(code) ?? 0) + 1);
      }
    }
    for (const [code, count] of counts) {
      const { name, meaning, remedy } = resultOf(code);
      faults.push({ code: name, message: `${count} records: ${sentence(meaning, remedy)} (result ${code})` });
    }
  }

  #isAsWanted(code: number, doubtful: boolean): boolean {
    if (code === notFound) return this.#parts.mayBeAbsent;
    // The server may say so because it has the record from the try before, whose answer was lost.
    return doubtful && (code === exists || code === generationDiffers);
  }

  #failure(progress: Progress, faults: readonly Fault[]): NotWritten | InDoubt {
    this.#parts.cluster.refresh();
    const worst = faults.toSorted((a, b) => severityOf(b.code) - severityOf(a.code))[0]!;
    const left = progress.rows.reduce((sum, state) => sum + (state === pending ? 1 : 0), 0);
    const told = [...new Set([worst, ...faults].map(({ message }) => message))].join('; ');
    const message = `${left} of ${progress.rows.length} records are not written yet: ${told}`;
    const options = worst.cause === undefined ? {} : { cause: worst.cause };
    const some = progress.doubtful.size > 0 || progress.rows.includes(written);
    return some ? new InDoubt(worst.code, message, options) : new NotWritten(worst.code, message, options);
  }

  #encoderOf(columns: readonly string[]): RowEncoder {
    let encoder = this.#encoders.get(columns);
    if (encoder === undefined) {
      encoder = new RowEncoder(columns, this.#parts.layout);
      this.#encoders.set(columns, encoder);
    }
    return encoder;
  }
}

/** Refuses a row for good. The next with its key, where there is one, is to be written in its place. */
function refuse(progress: Progress, row: number, refusal: Refusal): void {
  progress.rows[row] = refused;
  progress.refusals.set(row, refusal);
  const losers = progress.losers.get(row);
  const next = losers?.pop();
  if (losers === undefined || next === undefined) return;
  progress.losers.delete(row);
  progress.losers.set(next, losers);
  progress.rows[next] = pending;
}

function resultOfBatch(batch: Batch, { rows, refusals }: Progress): WriteResult {
  const counts = [0, 0, 0, 0, 0];
  for (const state of rows) counts[state]! += 1;
  const rejects = [...refusals]
    .sort(([a], [b]) => a - b)
    .map(([row, refusal]): Reject => ({ ...batch.origin(row), ...refusal }));
  return { written: counts[written]!, unchanged: counts[unchanged]!, duplicate: counts[duplicate]!, rejects };
}

function sentence(meaning: string, remedy: string | undefined): string {
  return remedy === undefined ? meaning : `${meaning}. ${remedy}`;
}
