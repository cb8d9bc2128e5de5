import type { Batch, Problem, ReportedProblem, Snapshot, WriteResult } from '../contract/index.js';

/** The run's figures, as they stand. */
export class Tally {
  read = 0;
  written = 0;
  unchanged = 0;
  duplicate = 0;
  rejected = 0;
  /** Rows found settled by an earlier part of the run, the rejects among them not counted. */
  #seenBefore = 0;
  #rejectsBefore = 0;
  /** Bytes of settled rows. */
  bytes = 0;
  bytesRead = 0;
  batches = 0;
  retries = 0;
  totalRows: number | undefined;
  totalBytes: number | undefined;
  readonly #startedAt = performance.now();
  readonly #problems = new Map<string, ReportedProblem>();

  settled(batch: Batch, result: WriteResult): void {
    this.written += result.written;
    this.unchanged += result.unchanged;
    this.duplicate += result.duplicate;
    this.rejected += result.rejects.length;
    this.bytes += batch.bytes;
    this.batches += 1;
  }

  /** The run had this many rejects before. */
  goOnAfter(rejects: number): void {
    this.#rejectsBefore = rejects;
  }

  /** Rows that were read, and how many of them were passed over, for an earlier part of the run settled them. */
  cameIn(rows: number, passed: number): void {
    this.read += rows;
    this.#seenBefore += passed;
  }

  /** Rejects of the whole run. Those of an earlier part count as soon as so many of its rows were passed over. */
  get rejectedInAll(): number {
    return this.rejected + Math.min(this.#rejectsBefore, this.#seenBefore);
  }

  get skipped(): number {
    return this.#seenBefore - Math.min(this.#rejectsBefore, this.#seenBefore);
  }

  /** Whether every record read is in exactly one of the other figures. */
  get reconciled(): boolean {
    return this.read === this.written + this.unchanged + this.duplicate + this.rejectedInAll + this.skipped;
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  problem(problem: Problem): void {
    const known = this.#problems.get(problem.name);
    const first = known ?? { ...problem, count: 0 };
    this.#problems.set(problem.name, {
      ...first,
      incomplete: first.incomplete || problem.incomplete,
      count: first.count + 1,
    });
  }

  get problems(): readonly ReportedProblem[] {
    return [...this.#problems.values()];
  }

  snapshot(inFlight: number, workers: number, gateChange: string | undefined): Snapshot {
    const {
      read,
      written,
      unchanged,
      duplicate,
      rejectedInAll: rejected,
      skipped,
      bytes,
      seconds,
      retries,
      totalRows,
      totalBytes,
    } = this;
    return {
      read,
      written,
      unchanged,
      duplicate,
      rejected,
      skipped,
      settled: written + unchanged + duplicate + rejected + skipped,
      bytes,
      seconds,
      inFlight,
      workers,
      gateChange,
      retries,
      totalRows,
      shareRead: totalBytes ? Math.min(1, this.bytesRead / totalBytes) : undefined,
    };
  }
}
