import { setMaxListeners } from 'node:events';
import * as z from 'zod';
import type { Defect, ReadContext, RecordChunk, ResumePoint, Row } from '../../contract/index.js';
import { SourceError } from '../../errors.js';
import type { Ask, Client } from './client.js';
import { type Diagnosis, Doctor, isRecord } from './doctor.js';
import { RequestError, UnreadableBody } from './failure.js';
import type { HttpSettings } from './options.js';
import { type Page, pageReader } from './page.js';
import { askFor, type Place } from './request.js';

/** A page that came, or what came instead. Never a rejected promise, since pages ahead may never be looked at. */
export type Outcome =
  | { readonly ask: Ask; readonly page: Page; readonly recovered: readonly UnreadableBody[] }
  | { readonly ask: Ask; readonly error: unknown };

const count = z.int().min(0);

/** What a ResumePoint's token holds: the page, the page size in use, and what the doctor had counted up to it. */
const token = z.object({
  style: z.string(),
  place: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('start') }),
    z.object({ kind: z.literal('number'), at: count, want: count.optional() }),
    z.object({ kind: z.literal('cursor'), cursor: z.string() }),
    z.object({ kind: z.literal('url'), url: z.string() }),
  ]),
  /** Page size as it turned out, and as it was asked for. */
  step: z.int().min(1).optional(),
  asked: z.int().min(1).optional(),
  tally: z.object({
    repeated: count,
    alike: count.default(0),
    overlaps: count,
    total: count.optional(),
    firstTotal: count.optional(),
    changes: count,
    shrank: z.boolean(),
    short: count,
    empty: count,
    capped: z.object({ asked: count, given: count }).optional(),
  }),
});
type Token = z.output<typeof token>;

/** Page size in use: as it turned out, and as it was asked for. */
interface PageSize {
  readonly step?: number | undefined;
  readonly asked?: number | undefined;
}

/** A page before it becomes a chunk. */
interface Arrived {
  readonly place: Place;
  readonly page: Page;
  readonly label: string;
  readonly size?: PageSize;
}

/** Pages in a row that were all read before, after which the API is held to stand still. One may just be equal. */
const standstill = 3;

/** Pages a resume reads again, so that records that moved over the seam are still known. */
const lookBack = 16;

/** One pass over the listing: what all pagination styles share. */
export class Reading {
  readonly settings: HttpSettings;
  readonly doctor: Doctor;
  /** Where to begin, and the page size learned before, when this is a resume. */
  readonly start: { readonly place: Place } & PageSize;
  readonly #client: Client;
  readonly #split: string;
  readonly #context: ReadContext;
  readonly #abandon = new AbortController();
  readonly #readPage: ReturnType<typeof pageReader>;
  readonly #inFlight = new Set<Promise<Outcome>>();
  readonly #firstRow: number;
  /** Pages equal to earlier ones, in a row. */
  readonly #held: Arrived[] = [];
  /** Starts of the last pages, oldest first. */
  readonly #behind: ResumePoint[] = [];
  /** Whether the next page is to show that the listing is what it was. */
  #strict: boolean;
  readonly #totalBefore: number | undefined;
  #row: number;
  #whole = false;

  constructor(
    settings: HttpSettings,
    client: Client,
    split: string,
    from: ResumePoint | undefined,
    context: ReadContext,
  ) {
    const resumed = from === undefined ? undefined : tokenOf(from, settings);
    this.settings = settings;
    this.start = { place: resumed?.place ?? { kind: 'start' }, step: resumed?.step, asked: resumed?.asked };
    this.doctor = new Doctor(context.keyOf, resumed?.tally);
    this.#client = client;
    this.#split = split;
    this.#context = context;
    this.#readPage = pageReader(settings);
    this.#strict = resumed !== undefined && context.strict === true;
    this.#totalBefore = resumed?.tally.total;
    this.#firstRow = from?.row ?? 0;
    this.#row = this.#firstRow;
    context.signal.throwIfAborted();
    // Every request in flight listens to it.
    setMaxListeners(0, this.#abandon.signal);
    context.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = () => this.#abandon.abort(this.#context.signal.reason);

  /** Number of the next row. */
  get row(): number {
    return this.#row;
  }

  /** Whether `rows` more than those handed on are still wanted. */
  wants(rows: number): boolean {
    const { limit } = this.#context;
    return limit === undefined || this.#row - this.#firstRow + rows < limit;
  }

  throwIfAborted(): void {
    this.#context.signal.throwIfAborted();
  }

  /** Asks for a page. */
  fetch(place: Place, attempts?: number): Promise<Outcome> {
    const ask = askFor(this.settings, place, this.#row);
    const errand = {
      signal: this.#abandon.signal,
      log: this.#context.log,
      ...(attempts === undefined ? {} : { attempts }),
    };
    const outcome = this.#client.send(ask, errand, this.#readPage).then(
      ({ value, failures }): Outcome => ({
        ask,
        page: value,
        recovered: failures.filter((failure) => failure instanceof UnreadableBody),
      }),
      (error: unknown): Outcome => ({ ask, error }),
    );
    this.#inFlight.add(outcome);
    void outcome.then(() => this.#inFlight.delete(outcome));
    return outcome;
  }

  /** The page of an outcome, its story told to the doctor. @throws what came instead. */
  accept(outcome: Outcome): Page {
    this.#context.signal.throwIfAborted();
    const { label } = outcome.ask;
    if ('error' in outcome) {
      const { error } = outcome;
      if (error instanceof RequestError && error.unreadable) this.doctor.report(error.code, error.message, true);
      throw error;
    }
    for (const failure of outcome.recovered)
      this.doctor.report(failure.code, `${label} at first ${this.#client.told(failure)}`, false);
    this.#refuseChanged(outcome.page.total);
    this.doctor.total(outcome.page.total, label);
    return outcome.page;
  }

  /** What is written can't be written again, so that only a listing that tells the same total as before can be gone on with. */
  #refuseChanged(total: number | undefined): void {
    if (!this.#strict) return;
    this.#strict = false;
    // Without a total nothing tells whether what lies in front, and is not read again, is still what it was.
    if (total === this.#totalBefore && (total !== undefined || this.#firstRow === 0)) return;
    const told = total === undefined ? 'does not tell its total' : `tells a total of ${total}`;
    throw new SourceError(
      'source-changed',
      `${this.#split} ${told}, and told ${this.#totalBefore ?? 'none'} when the run was begun: it can't be shown to be unchanged, and appending would lose or repeat records. Start a new run, use mode upsert, or resume with force`,
    );
  }

  /**
   * The chunks that a page with items leads to: none while it is held back for being equal to an earlier one, until
   * what comes after tells whether the listing goes on. `stopped` when it does not, and reading is to end.
   */
  take(arrived: Arrived): { readonly chunks: readonly RecordChunk[]; readonly stopped: boolean } {
    const { page, label } = arrived;
    const repeats = this.doctor.earlier(page.fingerprint);
    if (repeats !== undefined) {
      this.#held.push(arrived);
      return this.#held.length < standstill
        ? { chunks: [], stopped: false }
        : { chunks: this.#giveUp(), stopped: true };
    }
    const chunks = this.#held.splice(0).map((held) => this.#chunk(held, this.#examine(held)));
    const diagnosis = this.#examine(arrived);
    chunks.push(this.#chunk(arrived, diagnosis));
    if (diagnosis.stale) this.doctor.repeatedPage(label, 'the pages before', this.#row);
    return { chunks, stopped: diagnosis.stale };
  }

  /** At the listing's end: the pages held back belong to it, unless its total was reached without them. */
  rest(): readonly RecordChunk[] {
    if (this.#held.length === 0) return [];
    if (this.doctor.agrees(this.#row)) return this.#giveUp();
    return this.#held.splice(0).map((held) => this.#chunk(held, this.#examine(held)));
  }

  #examine({ page, label }: Arrived): Diagnosis {
    return this.doctor.examine(page.items, page.fingerprint, label);
  }

  /** Of the pages held back the first is shown, as records given before. */
  #giveUp(): RecordChunk[] {
    const [first] = this.#held.splice(0);
    if (first === undefined) return [];
    const earlier = this.doctor.earlier(first.page.fingerprint) ?? 'an earlier page';
    const chunk = this.#chunk(first, this.doctor.repeated(first.page.items));
    this.doctor.repeatedPage(first.label, earlier, this.#row);
    return [chunk];
  }

  /** The chunk of a page; the row numbers move past it. */
  #chunk({ place, page, size = {} }: Arrived, diagnosis: Diagnosis): RecordChunk {
    const { items } = page;
    const { style } = this.settings.pagination;
    // With this page counted: a resume that starts at it can not see what it shares with the page before.
    const own: Token = { style, place, tally: this.doctor.tally, ...size };
    this.#behind.push({ row: this.#row, token: own });
    if (this.#behind.length > lookBack) this.#behind.shift();
    const { records, defects } = recordsOf(page, diagnosis.duplicates);
    const total = this.doctor.tally.total;
    const chunk: RecordChunk = {
      kind: 'records',
      span: { split: this.#split, from: this.#row, rows: items.length, next: this.#behind[0]! },
      bytes: page.bytes,
      records,
      ...(defects.size === 0 ? {} : { defects }),
      ...(total === undefined ? {} : { totalRows: total }),
    };
    this.#row += items.length;
    return chunk;
  }

  /** Called when the listing has come to its end by itself. */
  ended(): void {
    const { pagination } = this.settings;
    if (pagination.style !== 'none' && pagination.total && this.doctor.tally.total === undefined)
      this.doctor.report(
        'no-total',
        'no page told a total where pagination.total says: the listing was read to its end',
        false,
      );
    this.#whole = true;
  }

  /** Ends what is in flight and reports what was found. To be called once, however the reading ended. */
  async close(): Promise<void> {
    this.#context.signal.removeEventListener('abort', this.#onAbort);
    this.#abandon.abort();
    await Promise.all(this.#inFlight);
    for (const problem of this.doctor.findings(this.#row, this.#whole)) this.#context.problem(problem);
  }
}

function tokenOf(from: ResumePoint, settings: HttpSettings): Token {
  const found = token.safeParse(from.token);
  const { pagination } = settings;
  if (found.success && found.data.style === pagination.style) {
    const sized = pagination.style !== 'none' && pagination.size !== undefined;
    const numbered = pagination.style === 'page' || pagination.style === 'offset';
    if (!numbered || sized === (found.data.asked !== undefined)) return found.data;
  }
  throw new SourceError(
    'foreign-resume-token',
    'the place to resume from was not left by these pagination options: ' +
      'set pagination back to what it was, or start the load afresh',
    { cause: found.error },
  );
}

const noRow: Row = {};

function recordsOf(page: Page, duplicates: ReadonlySet<number>): { records: Row[]; defects: Map<number, Defect> } {
  const defects = new Map<number, Defect>();
  const records: Row[] = [];
  for (const [i, item] of page.items.entries()) {
    const damaged = page.damage?.reveal(item);
    if (duplicates.has(i)) defects.set(i, { kind: 'duplicate' });
    else if (damaged)
      defects.set(i, {
        kind: 'malformed',
        refusal: { code: 'invalid-utf8', reason: 'the record holds bytes that are not UTF-8' },
        record: damaged.value,
      });
    else if (!isRecord(item))
      defects.set(i, {
        kind: 'malformed',
        refusal: { code: 'not-an-object', reason: 'the item of the list is not an object with fields' },
        record: item,
      });
    records.push(isRecord(item) ? item : noRow);
  }
  return { records, defects };
}
