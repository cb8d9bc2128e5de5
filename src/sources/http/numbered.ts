import type { RecordChunk } from '../../contract/index.js';
import { RequestError } from './failure.js';
import type { Pagination } from './options.js';
import type { Page } from './page.js';
import type { Outcome, Reading } from './reading.js';
import type { Place } from './request.js';

/** A page asked for, in its turn. */
interface Slot {
  readonly place: Extract<Place, { kind: 'number' }>;
  /** Records it should have; undefined as long as the page size is not known. */
  readonly want: number | undefined;
  /** `gap` fills the rest of a short page by offset; `probe` looks whether anything follows the last row of the total. */
  readonly kind: 'page' | 'gap' | 'probe';
  readonly outcome: Promise<Outcome>;
}

/** What stands for an answer that means "after the end". */
const emptyPage: Page = {
  items: [],
  damage: undefined,
  bytes: 0,
  total: undefined,
  next: undefined,
  saysNext: false,
  fingerprint: '',
};

/** Empty pages in a row after which a total that promises more is no longer believed. */
const patience = 4;

/**
 * Pages by number or offset, up to `parallel` in flight, handed on in order.
 *
 * The first page is asked for alone: it tells the total and the page size. With a total, the pages up to it are asked
 * for, and one beyond unless the last was short: a total that is too low would otherwise hide rows. Without, the window
 * runs ahead until it holds nothing but empty pages. Offsets step by the records that came, not by those asked for.
 */
export class NumberedPages {
  readonly #reading: Reading;
  readonly #byOffset: boolean;
  readonly #first: number;
  /** Page size asked for. */
  readonly #asked: number | undefined;
  /** Slots asked for and not yet handed on, in order. */
  readonly #window: Slot[] = [];
  /** Page size as it turned out. */
  #step: number | undefined;
  /** The next number to ask for. */
  #next: number;
  /** A page with records was handed on. */
  #begun = false;
  /** The total was too low or the plan made from it too short: read on until the listing ends by itself. */
  #open = false;
  /** Labels of the empty pages since the last one with records. */
  #empty: string[] = [];
  /** The last page had fewer records than its size. */
  #short: { readonly label: string; readonly count: number; readonly first: boolean } | undefined;

  constructor(reading: Reading, pagination: Extract<Pagination, { style: 'page' | 'offset' }>) {
    const { place, step, asked } = reading.start;
    this.#reading = reading;
    this.#byOffset = pagination.style === 'offset';
    this.#first = pagination.style === 'page' ? pagination.first : 0;
    this.#asked = asked ?? pagination.size?.value;
    this.#step = step;
    this.#next = place.kind === 'number' ? place.at : this.#first;
    // A gap's own size is smaller than a page's.
    const own = this.#byOffset && place.kind === 'number' ? place.want : undefined;
    this.#ask(step === undefined ? this.#asked : Math.min(own ?? step, step));
  }

  async *chunks(): AsyncGenerator<RecordChunk, void, undefined> {
    const toTheEnd = yield* this.#pages();
    if (!toTheEnd) return;
    yield* this.#reading.rest();
    this.#reading.ended();
  }

  /** Returns whether the listing came to its end, or reading was stopped there; false when no more was wanted. */
  async *#pages(): AsyncGenerator<RecordChunk, boolean, undefined> {
    const { doctor } = this.#reading;
    for (;;) {
      const slot = this.#window.shift() ?? this.#further();
      if (!slot) return true;
      const outcome = await slot.outcome;
      const { label } = outcome.ask;
      const page = this.#accept(slot, outcome);
      if (!page) return true;
      if (page.items.length === 0) {
        if (slot.kind !== 'gap') this.#empty.push(label);
        continue;
      }
      if (slot.kind === 'probe' && doctor.earlier(page.fingerprint) !== undefined) return true;
      if (this.#beyond(slot.place.at)) this.#open = true;
      for (const before of this.#empty.splice(0)) doctor.emptyPage(before, false);
      const items = this.#cut(slot, page);
      const isFirst = this.#step === undefined;
      if (!isFirst) this.#judgeShort(slot, items.length);
      this.#begun = true;
      this.#measure(slot, items.length);
      const size = { step: this.#step, asked: this.#asked };
      const { chunks, stopped } = this.#reading.take({ place: slot.place, page: { ...page, items }, label, size });
      if (!stopped) {
        this.#noteShort(slot, items.length, label, isFirst);
        this.#fill();
      }
      yield* chunks;
      if (stopped) return true;
      if (!this.#reading.wants(0)) return false;
    }
  }

  /** True for numbers that lie after the end the total promises. */
  #beyond(at: number): boolean {
    const { total } = this.#reading.doctor.tally;
    if (this.#open || total === undefined) return false;
    return (this.#byOffset ? at : (at - this.#first) * (this.#step ?? 1)) >= total;
  }

  #ask(want: number | undefined, kind: 'page' | 'probe' = 'page'): void {
    this.#window.push(this.#slot(this.#next, want, kind));
    this.#next += this.#byOffset ? (want ?? 0) : 1;
  }

  #slot(at: number, want: number | undefined, kind: Slot['kind']): Slot {
    const size = this.#byOffset ? want : this.#asked;
    const place = { kind: 'number', at, ...(size === undefined ? {} : { want: size }) } as const;
    // A probe only confirms what the total says: it is not worth waiting for.
    return { place, want, kind, outcome: this.#reading.fetch(place, kind === 'probe' ? 1 : undefined) };
  }

  /** Keeps the window full. */
  #fill(): void {
    while (
      this.#window.length < this.#reading.settings.parallel &&
      !this.#beyond(this.#next) &&
      this.#reading.wants(this.#window.length * (this.#step ?? 1))
    )
      this.#ask(this.#step);
  }

  /** What to look at when the window is empty; nothing when the listing has ended. */
  #further(): Slot | undefined {
    const { doctor, row } = this.#reading;
    const { total } = doctor.tally;
    const reached = total !== undefined && !this.#open && row >= total;
    if (this.#empty.length > 0) {
      if (total === undefined || this.#open || reached) return undefined;
      if (this.#beyond(this.#next) || this.#empty.length >= patience) return undefined;
      this.#step ??= this.#asked ?? 1;
    } else if (reached && row === total && this.#short) {
      return undefined;
    }
    this.#ask(this.#step, reached ? 'probe' : 'page');
    return this.#window.shift();
  }

  /** The page that came; an empty one for a status that means "after the end"; undefined when a probe found nothing. */
  #accept(slot: Slot, outcome: Outcome): Page | undefined {
    this.#reading.throwIfAborted();
    if ('error' in outcome && this.#begun) {
      if (slot.kind === 'probe') return undefined;
      if (isPastEnd(outcome.error, this.#empty.length > 0)) return emptyPage;
    }
    return this.#reading.accept(outcome);
  }

  /** By offset, records beyond the slot's own belong to the next. */
  #cut(slot: Slot, page: Page): readonly unknown[] {
    const { items } = page;
    const cut = this.#byOffset && this.#step !== undefined && slot.want !== undefined && items.length > slot.want;
    return cut ? items.slice(0, slot.want) : items;
  }

  /** A page with records came after a short one: so that one was not the last. */
  #judgeShort(slot: Slot, count: number): void {
    const short = this.#short;
    if (!short) return;
    this.#short = undefined;
    const { doctor } = this.#reading;
    if (short.first && count <= short.count)
      doctor.cappedPages(this.#asked ?? short.count, short.count, this.#byOffset);
    else if (slot.kind === 'gap')
      doctor.report(
        'short-page',
        `${short.label} had fewer records than its size; the rest came when asked for again`,
        false,
      );
    else doctor.shortPage(short.label);
  }

  #measure(slot: Slot, count: number): void {
    if (this.#step === undefined) {
      this.#step = count;
      this.#next = slot.place.at + (this.#byOffset ? count : 1);
    } else if (!this.#byOffset && count > this.#step) {
      this.#step = count;
    }
  }

  #noteShort(slot: Slot, count: number, label: string, first: boolean): void {
    const size = first ? this.#asked : slot.want;
    if (size === undefined || count >= size) return;
    this.#short = { label, count, first };
    const rest = slot.place.at + count;
    // By offset, what is missing from a short page can be asked for by itself, whether the API left it out or not.
    if (this.#byOffset && !first && !this.#beyond(rest)) this.#window.unshift(this.#slot(rest, size - count, 'gap'));
  }
}

/** Whether this is how an API answers for pages after the last; behind an empty page any status is. */
function isPastEnd(error: unknown, afterEmpty: boolean): boolean {
  if (!(error instanceof RequestError)) return false;
  return error.code === 'http-404' || error.code === 'http-416' || (afterEmpty && error.code.startsWith('http-'));
}
