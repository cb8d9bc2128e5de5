import type { RecordChunk } from '../../contract/index.js';
import type { Ask } from './client.js';
import type { Pagination } from './options.js';
import type { Page } from './page.js';
import type { Outcome, Reading } from './reading.js';
import { Recent } from './recent.js';
import { addressOfStart, type Place, placeOfLink } from './request.js';

/** Cursors remembered, to notice that one comes again. */
const cursorSpan = 32_768;
/** Empty pages in a row, each with a new cursor, after which the listing is held to lead nowhere. */
const patience = 1_000;

/** Pages each of which tells the way to the next: cursor, link and next, and the one page of none. One page is read ahead. */
export class ChainedPages {
  readonly #reading: Reading;
  readonly #pagination: Exclude<Pagination, { style: 'page' | 'offset' }>;
  readonly #seen = new Recent<true>(cursorSpan);
  /** Labels of the empty pages since the last one with records. */
  #empty: string[] = [];

  constructor(reading: Reading, pagination: Exclude<Pagination, { style: 'page' | 'offset' }>) {
    this.#reading = reading;
    this.#pagination = pagination;
  }

  async *chunks(): AsyncGenerator<RecordChunk, void, undefined> {
    const reading = this.#reading;
    let place: Place | undefined = reading.start.place;
    let ahead = reading.fetch(place);
    for (let isFirst = place.kind === 'start'; ; isFirst = false) {
      const outcome: Outcome = await ahead;
      const page = reading.accept(outcome);
      this.#seen.set(this.#nameOf(place), true);
      if (page.items.length === 0) {
        this.#empty.push(outcome.ask.label);
        place = this.#following(page, outcome.ask, place);
        if (!place) {
          yield* reading.rest();
          return reading.ended();
        }
        ahead = reading.fetch(place);
        continue;
      }
      for (const before of this.#empty.splice(0)) reading.doctor.emptyPage(before, true);
      const { chunks, stopped } = reading.take({ place, page, label: outcome.ask.label });
      if (stopped) {
        yield* chunks;
        return reading.ended();
      }
      if (isFirst && !page.saysNext) this.#judgeSilence(page.items.length);
      let following: Place | undefined;
      try {
        following = this.#following(page, outcome.ask, place);
      } catch (error) {
        // The page itself is good, only the way on is not.
        yield* chunks;
        throw error;
      }
      const wanted = reading.wants(0);
      if (following && wanted) ahead = reading.fetch(following);
      yield* chunks;
      if (!following) {
        yield* reading.rest();
        return reading.ended();
      }
      if (!wanted) return;
      place = following;
    }
  }

  /** Where the page leads; undefined at the end, and where going on would go in a circle. */
  #following(page: Page, ask: Ask, place: Place): Place | undefined {
    const { doctor, row, settings } = this.#reading;
    if (page.next === undefined) return undefined;
    if (this.#pagination.style === 'none') {
      doctor.report(
        'more-pages',
        'the response links to a next page, which pagination style none does not read: set pagination to { style: link }',
        true,
      );
      return undefined;
    }
    const following: Place =
      this.#pagination.style === 'cursor'
        ? { kind: 'cursor', cursor: page.next }
        : placeOfLink(settings, page.next, ask);
    const name = this.#nameOf(following);
    // Feeds give the same cursor for "nothing new yet".
    if (page.items.length === 0 && name === this.#nameOf(place)) return undefined;
    const circle = this.#seen.get(name) !== undefined;
    if (!circle && this.#empty.length < patience) return following;
    doctor.report(
      'cursor-loop',
      circle
        ? `${ask.label} leads on to a page that was read before; reading stopped there`
        : `${ask.label} is the ${patience}th page in a row without records, and still leads on; reading stopped there`,
      !doctor.agrees(row),
    );
    return undefined;
  }

  /** A full first page that does not say a word about the next: more likely an option is wrong than the listing that short. */
  #judgeSilence(count: number): void {
    const { doctor, row } = this.#reading;
    if (this.#pagination.style === 'none' || doctor.agrees(row)) return;
    const asked = this.#pagination.size?.value;
    if (asked === undefined || count < asked) return;
    const where = 'path' in this.#pagination ? `nothing at ${this.#pagination.path}` : 'no Link header';
    doctor.report(
      'no-next',
      `the first page is full, and there is ${where} to lead to the next: check pagination; if the listing really has ` +
        `${count} records, ask for larger pages or set total`,
      true,
    );
  }

  #nameOf(place: Place): string {
    if (place.kind === 'cursor') return place.cursor;
    if (place.kind === 'url') return place.url;
    return this.#pagination.style === 'cursor' ? '' : addressOfStart(this.#reading.settings);
  }
}
