import type { Log, RunStatus, Span } from '../../contract/index.js';
import { SluiceError } from '../../errors.js';
import { stringifyJson } from '../../formats/json.js';
import { RangeSet } from '../range-set.js';
import { Appender } from './appender.js';
import type { JobFolder, Segment } from './job-folder.js';
import type { Entry, Header } from './record.js';
import { type End, readSegment, SegmentDraft, SegmentReader, SegmentState } from './segment.js';

/**
 * One holder's time with a run, from its turn on. Only it writes its segment.
 *
 * The fence: the next holder takes a higher turn first, and reads this segment after that. So a record is either there in
 * time to be read, or its append finds the higher turn, and fails.
 */
export class Tenure {
  readonly holder: string;
  readonly run: string;
  readonly epoch: number;
  readonly #folder: JobFolder;
  readonly #segment: Segment;
  readonly #appender: Appender;

  private constructor(folder: JobFolder, segment: Segment, header: Header, end: End) {
    this.holder = header.holder;
    this.run = header.run;
    this.epoch = header.epoch;
    this.#folder = folder;
    this.#segment = segment;
    this.#appender = new Appender(segment.path, end, () => this.#check());
  }

  /** Starts a run. */
  static async start(folder: JobFolder, turn: number, header: Header): Promise<Tenure> {
    const segment = folder.segment(header.run, turn, turn);
    await using draft = await SegmentDraft.start(segment.path, header);
    return await Tenure.#enter(folder, segment, header, await draft.keep());
  }

  /** Goes on with what `base` holds, under the next epoch. What its holder appends there from now on is read by nobody. */
  static async goOn(
    folder: JobFolder,
    base: Segment,
    turn: number,
    by: Pick<Header, 'holder' | 'since'>,
  ): Promise<{ tenure: Tenure; state: SegmentState }> {
    const segment = folder.segment(base.run, base.started, turn);
    await using before = await SegmentReader.open(base.path);
    const header = { ...before.header, ...by, epoch: before.header.epoch + 1 };
    await using draft = await SegmentDraft.start(segment.path, header);
    const state = new SegmentState(before.header);
    for await (const { entry, json } of before.records()) {
      state.add(entry);
      if ('spans' in entry) await draft.add(json);
    }
    const tenure = await Tenure.#enter(folder, segment, header, await draft.keep());
    await folder.remove(base.run, base.turn);
    return { tenure, state };
  }

  static async #enter(folder: JobFolder, segment: Segment, header: Header, end: End): Promise<Tenure> {
    const tenure = new Tenure(folder, segment, header, end);
    await tenure.#check();
    await folder.turns.sweep(segment.turn);
    return tenure;
  }

  async read(): Promise<SegmentState> {
    await this.#check();
    return await readSegment(this.#segment.path);
  }

  async beat(): Promise<void> {
    await this.#check();
    await this.#folder.turns.beat(this.#segment.turn);
  }

  async append(json: string): Promise<void> {
    await this.#appender.append(json);
  }

  /** Notes how the run ended; of a complete one the spans become one a split. Then the job is free. */
  async finish(status: RunStatus, log: Log): Promise<void> {
    const ended = JSON.stringify({ ended: status, at: new Date().toISOString() } satisfies Entry);
    try {
      await this.append(ended);
      if (status === 'complete' || status === 'complete-with-rejects') await this.#compact(ended, log);
    } finally {
      await this.#folder.turns.release(this.#segment.turn);
    }
  }

  async #compact(ended: string, log: Log): Promise<void> {
    try {
      await this.#rewrite(ended);
    } catch (error) {
      // The run has ended well, and its file says so; it is only longer than it need be.
      log.warn({ error: String(error) }, `the ledger ${this.#segment.path} could not be compacted`);
    }
  }

  async #rewrite(ended: string): Promise<void> {
    const { path } = this.#segment;
    const { header, spans } = await readSegment(path);
    const merged = mergeWhole(spans);
    if (merged === undefined) return;
    await using before = await SegmentReader.open(path);
    await using draft = await SegmentDraft.start(path, header);
    await draft.add(stringifyJson({ spans: merged, rejects: [] })!);
    for await (const { entry } of before.records()) {
      if ('spans' in entry && entry.rejects.length > 0) {
        await draft.add(stringifyJson({ spans: [], rejects: entry.rejects })!);
      }
    }
    await draft.add(ended);
    await draft.keep();
  }

  /** @throws SluiceError `taken-over` when this turn is not the latest. */
  async #check(): Promise<void> {
    const latest = await this.#folder.turns.latestNumber();
    if (latest === this.#segment.turn) return;
    const holder = (await this.#folder.turns.latest())?.holder ?? 'another holder';
    const how = latest > this.#segment.turn ? `was taken over by ${holder}` : 'has lost its ledger, which was removed';
    throw new SluiceError('taken-over', `run ${this.run} ${how}: this one may write no more`);
  }
}

/** One span a split, where the spans of every split are one range from its start; undefined where some split has a hole. */
function mergeWhole(spans: readonly Span[]): Span[] | undefined {
  const splits = new Map<string, { settled: RangeSet; last: Span }>();
  for (const span of spans) {
    const known = splits.get(span.split) ?? { settled: new RangeSet(), last: span };
    known.settled.add(span.from, span.from + span.rows);
    splits.set(span.split, { ...known, last: span.from >= known.last.from ? span : known.last });
  }
  const merged: Span[] = [];
  for (const [split, { settled, last }] of splits) {
    if (settled.lowWater !== settled.size) return undefined;
    merged.push({ split, from: 0, rows: settled.size, next: last.next });
  }
  return merged;
}
