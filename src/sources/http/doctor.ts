import type { Problem, Row } from '../../contract/index.js';
import { isLosslessNumber } from '../../formats/json.js';
import { Recent } from './recent.js';

/** What the doctor has counted since the listing's start. It survives JSON, so a resume goes on counting. */
export interface Tally {
  /** Rows that came again and were not handed on as records: by their key, or with a page at which reading stopped. */
  readonly repeated: number;
  /** Without a key: rows that are equal to one of the page before, which may be as it should. */
  readonly alike: number;
  /** Pages on which such rows stood. */
  readonly overlaps: number;
  /** The last total told. */
  readonly total?: number | undefined;
  readonly firstTotal?: number | undefined;
  /** Times the total changed, and whether it ever went down. */
  readonly changes: number;
  readonly shrank: boolean;
  readonly short: number;
  readonly empty: number;
  /** Page size asked for and given, where the API gives fewer and its pages are numbered. */
  readonly capped?: { readonly asked: number; readonly given: number } | undefined;
}

export const freshTally: Tally = { repeated: 0, alike: 0, overlaps: 0, changes: 0, shrank: false, short: 0, empty: 0 };

/** What is known of a page before it is handed on. */
export interface Diagnosis {
  /** Indexes of records that an earlier page had under the same key. */
  readonly duplicates: ReadonlySet<number>;
  /** This page and those before brought no new key. */
  readonly stale: boolean;
}

/** Keys remembered: at least this many, whatever the size of pages. */
const keySpan = 32_768;
const pageSpan = 4_096;
/** So many pages in a row without a new key are a repeat, although a field such as a time of day differs each time. */
const stalePages = 3;
const nothing: ReadonlySet<number> = new Set();

/**
 * Looks at the pages of one listing in their order, and says at the end whether the listing was read whole.
 * It knows nothing of requests: pages are lists of records with a label.
 */
export class Doctor {
  readonly #keyOf: ((record: Row) => string | undefined) | undefined;
  readonly #keys = new Recent<number>(keySpan);
  readonly #pages = new Recent<string>(pageSpan);
  /** Without a key: the records of the page before, as text. */
  #neighbours: ReadonlySet<string> = new Set();
  #page = 0;
  /** Pages in a row that brought no new key. */
  #stale = 0;
  #tally: { -readonly [K in keyof Tally]: Tally[K] };
  readonly #now = new Map<string, Problem>();
  readonly #examples = new Map<string, string>();

  constructor(keyOf: ((record: Row) => string | undefined) | undefined, tally: Tally = freshTally) {
    this.#keyOf = keyOf;
    this.#tally = { ...tally };
  }

  get tally(): Tally {
    return { ...this.#tally };
  }

  /** A page with items, next in order. */
  examine(items: readonly unknown[], fingerprint: string, label: string): Diagnosis {
    this.#pages.set(fingerprint, label);
    this.#page++;
    const again = this.#keyOf ? this.#againByKey(items, this.#keyOf) : this.#againByText(items);
    const stale = this.#keyOf !== undefined && again.size === items.length;
    this.#stale = stale ? this.#stale + 1 : 0;
    if (again.size === 0) return { duplicates: nothing, stale: false };
    this.#tally[this.#keyOf ? 'repeated' : 'alike'] += again.size;
    this.#tally.overlaps++;
    this.#example('overlap', label);
    return { duplicates: this.#keyOf ? again : nothing, stale: this.#stale >= stalePages };
  }

  /** The label of an earlier page with the same items. */
  earlier(fingerprint: string): string | undefined {
    return this.#pages.get(fingerprint);
  }

  /** A page that is an earlier one again, none of whose records counts. */
  repeated(items: readonly unknown[]): Diagnosis {
    this.#tally.repeated += items.length;
    return { duplicates: new Set(items.keys()), stale: false };
  }

  /** The listing's total as a page tells it. */
  total(told: number | undefined, label: string): void {
    if (told === undefined) return;
    const before = this.#tally.total;
    this.#tally.firstTotal ??= told;
    this.#tally.total = told;
    if (before === undefined || before === told) return;
    this.#tally.changes++;
    if (told < before) this.#tally.shrank = true;
    this.#example('total-drift', label);
  }

  /** A page that had fewer records than its size although others came after it. */
  shortPage(label: string): void {
    this.#tally.short++;
    this.#example('short-page', label);
  }

  /** A page without records although others came after it. `guided` when the API itself led past it. */
  emptyPage(label: string, guided: boolean): void {
    if (!guided) this.#tally.empty++;
    this.#example('empty-page', label);
    if (guided) this.report('empty-page', `${label} has no records, and the listing goes on after it`, false);
  }

  /** The API gives fewer records a page than it was asked for. By offset the next page starts where this one ended. */
  cappedPages(asked: number, given: number, byOffset: boolean): void {
    if (byOffset)
      this.report('page-size-capped', `pages of ${asked} records were asked for, and pages of ${given} came`, false);
    else this.#tally.capped = { asked, given };
  }

  /** A page that had all been read before, at which reading stops. `rows` counts it too. */
  repeatedPage(label: string, earlier: string, rows: number): void {
    this.report(
      'ignored-offset',
      `${label} has the same records as ${earlier}: the API does not go by the parameter that should move it on; reading ` +
        'stopped there: check pagination.param against the documentation of the API',
      !this.agrees(rows),
    );
  }

  /** True when the last total told and the distinct rows agree, and the total never went down. */
  agrees(rows: number): boolean {
    return this.#tally.total === rows - this.#tally.repeated && !this.#tally.shrank;
  }

  /** Something that is known for sure at once. The same name twice keeps the first message. */
  report(name: string, message: string, incomplete: boolean): void {
    const known = this.#now.get(name);
    this.#now.set(name, {
      name,
      message: known?.message ?? message,
      incomplete: incomplete || (known?.incomplete ?? false),
    });
  }

  /**
   * All that was found. `rows` is the number of rows the listing gave.
   * Drift, overlaps and odd pages are forgiven only when distinct rows and a steady (or only growing) total agree.
   * @param whole false when reading stopped before the listing's end: then nothing is claimed and nothing is missing.
   */
  findings(rows: number, whole: boolean): readonly Problem[] {
    const { repeated, alike, overlaps, total, firstTotal, changes, short, empty, capped } = this.#tally;
    const found = [...this.#now.values()];
    const distinct = rows - repeated;
    const proven = this.agrees(rows);
    const add = (name: string, incomplete: boolean, message: string) =>
      found.push({ name, message, incomplete: whole && incomplete });
    const first = (name: string) => {
      const label = this.#examples.get(name);
      return label === undefined ? '' : ` (first: ${label})`;
    };
    if (overlaps > 0)
      add(
        'overlap',
        !proven,
        this.#keyOf
          ? `${some(repeated, 'record')} came again on a later page, on ${some(overlaps, 'page')}${first('overlap')}, counted as ` +
              'duplicates: the listing changes while it is read, or has no stable order'
          : `${some(alike, 'record')} as on the page before, on ${some(overlaps, 'page')}${first('overlap')}; nothing ` +
              'was dropped, for without a key they can not be told apart',
      );
    if (changes > 0)
      add(
        'total-drift',
        !proven || overlaps > 0,
        `the total went from ${firstTotal} to ${total} while the listing was read, in ${some(changes, 'step')}${first('total-drift')}`,
      );
    if (capped)
      add(
        'page-size-capped',
        !proven,
        `pages of ${capped.asked} records were asked for, and pages of ${capped.given} came; an API that still counts its pages ` +
          `by ${capped.asked} skips records: set size.value to ${capped.given} or less`,
      );
    if (short > 0)
      add(
        'short-page',
        !proven,
        `${some(short, 'page')} had fewer records than the others although more followed${first('short-page')}`,
      );
    if (empty > 0)
      add('empty-page', !proven, `${some(empty, 'page')} had no records although more followed${first('empty-page')}`);
    if (whole && total !== undefined && distinct !== total)
      add(
        'total-mismatch',
        true,
        `the API told of ${total} records, ${distinct} ${this.#keyOf ? 'different ones ' : ''}came; where its total is only an estimate, leave the ` +
          'option total out',
      );
    return found;
  }

  #example(name: string, label: string): void {
    if (!this.#examples.has(name)) this.#examples.set(name, label);
  }

  #againByKey(items: readonly unknown[], keyOf: (record: Row) => string | undefined): ReadonlySet<number> {
    const again = new Set<number>();
    for (const [i, item] of items.entries()) {
      if (!isRecord(item)) continue;
      const key = keyOf(item);
      if (key === undefined) continue;
      const before = this.#keys.get(key);
      // Twice on one page is the API's own doing, not a shift between pages.
      if (before === undefined) this.#keys.set(key, this.#page);
      else if (before !== this.#page) again.add(i);
    }
    return again;
  }

  #againByText(items: readonly unknown[]): ReadonlySet<number> {
    const again = new Set<number>();
    const texts = new Set<string>();
    for (const [i, item] of items.entries()) {
      const text = JSON.stringify(item);
      if (this.#neighbours.has(text)) again.add(i);
      texts.add(text);
    }
    this.#neighbours = texts;
    return again;
  }
}

/** An object of fields: neither a list nor a number that was kept digit for digit. */
export function isRecord(item: unknown): item is Row {
  return typeof item === 'object' && item !== null && !Array.isArray(item) && !isLosslessNumber(item);
}

function some(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
