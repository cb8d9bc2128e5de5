import type { Chunk, CsvLayout, Defect, Refusal, Reject, Row } from '../../contract/index.js';
import { splitCsvRecord } from '../../formats/csv-record.js';
import { isLosslessNumber, parseJson } from '../../formats/json.js';

/** A chunk is whole at the first of these. */
const chunkRows = 1_000;
const chunkBytes = 256 * 1024;

/** A record on its way into a chunk. */
type Piece =
  | { readonly csv: CsvLayout; readonly bytes: Buffer }
  | { readonly csv: undefined; readonly row: Row; readonly bytes: number };

/** Puts rejects into chunks as their source did: CSV text of one layout as bytes, other records decoded. */
export class Gathering {
  readonly #split: string;
  readonly #run: string;
  /** The same object for the same layout, as those who read chunks rely on. */
  readonly #layouts = new Map<string, CsvLayout>();
  #row = 0;
  #pieces: Piece[] = [];
  #origins: { split: string; row: number }[] = [];
  #defects = new Map<number, Defect>();
  #bytes = 0;

  constructor(split: string, run: string) {
    this.#split = split;
    this.#run = run;
  }

  /** Gives what was gathered before when this one does not go with it. */
  add(reject: Reject, duplicate: boolean): Chunk | undefined {
    const csv = reject.csv && this.#layout(reject.csv);
    const { piece, refusal } = csv ? csvPiece(reject, csv) : recordPiece(reject);
    const full = this.#pieces.length >= chunkRows || this.#bytes >= chunkBytes;
    const before = full || this.#pieces[0]?.csv !== piece.csv ? this.end() : undefined;
    if (duplicate) this.#defects.set(this.#pieces.length, { kind: 'duplicate' });
    else if (refusal) this.#defects.set(this.#pieces.length, { kind: 'malformed', refusal, record: reject.record });
    this.#pieces.push(piece);
    this.#origins.push({ split: reject.split, row: reject.row });
    this.#bytes += piece.csv ? piece.bytes.length : piece.bytes;
    return before;
  }

  /** What was gathered; undefined when nothing was. */
  end(): Chunk | undefined {
    const pieces = this.#pieces;
    if (pieces.length === 0) return undefined;
    const from = this.#row;
    this.#row += pieces.length;
    const shared = {
      span: { split: this.#split, from, rows: pieces.length, next: { row: this.#row, token: null } },
      bytes: this.#bytes,
      replay: { run: this.#run, origins: this.#origins },
      ...(this.#defects.size > 0 && { defects: this.#defects }),
    };
    this.#pieces = [];
    this.#origins = [];
    this.#defects = new Map();
    this.#bytes = 0;
    const layout = pieces[0]?.csv;
    if (layout === undefined)
      return { ...shared, kind: 'records', records: pieces.map((piece) => (piece.csv ? none : piece.row)) };
    const buffers = pieces.map((piece) => (piece.csv ? piece.bytes : Buffer.alloc(0)));
    let end = 0;
    const ends = Uint32Array.from(buffers, (bytes) => (end += bytes.length));
    return { ...shared, kind: 'csv', layout, data: Buffer.concat(buffers), ends };
  }

  #layout(layout: CsvLayout): CsvLayout {
    const { fields, delimiter, quote, null: nothing, eol } = layout;
    const name = JSON.stringify([fields, delimiter, quote, nothing, eol]);
    const known = this.#layouts.get(name) ?? layout;
    this.#layouts.set(name, known);
    return known;
  }
}

interface Read {
  readonly piece: Piece;
  readonly refusal?: Refusal | undefined;
}

const none: Row = Object.freeze({});

/** A record that would not end where it ends, or earlier, would take others with it: it is refused here. */
function csvPiece({ record, code, reason }: Reject, csv: CsvLayout): Read {
  const eol = Buffer.from(csv.eol);
  if (typeof record !== 'string') {
    const refusal = isBytes(record)
      ? { code, reason }
      : { code: 'not-csv', reason: `"record" must be CSV text: ${csv.fields.join(csv.delimiter)}` };
    return { piece: { csv, bytes: eol }, refusal };
  }
  if (/\p{Surrogate}/u.test(record))
    return {
      piece: { csv, bytes: eol },
      refusal: { code: '22021', reason: 'the record has half of a surrogate pair' },
    };
  const bytes = Buffer.from(`${record}${csv.eol}`);
  const fault = splitCsvRecord(csv, bytes, 0, bytes.length, [], 0);
  return typeof fault === 'number' ? { piece: { csv, bytes } } : { piece: { csv, bytes: eol }, refusal: fault };
}

/** A line that was no JSON object may be one now. */
function recordPiece({ record, code, reason }: Reject): Read {
  const refused = (refusal: Refusal): Read => ({ piece: { csv: undefined, row: none, bytes: 2 }, refusal });
  if (code === '22021' && isBytes(record)) return refused({ code, reason });
  let value = record;
  let bytes = 64;
  if (typeof record === 'string') {
    bytes = record.length;
    try {
      value = parseJson(record);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return refused({ code: 'malformed-json', reason: `malformed JSON: ${error.message}` });
    }
  }
  return isRow(value)
    ? { piece: { csv: undefined, row: value, bytes } }
    : refused({ code: 'not-an-object', reason: 'a record must be an object' });
}

/** As rejects have bytes that are no text. */
function isBytes(record: unknown): boolean {
  return isRow(record) && Object.keys(record).length === 1 && typeof record.base64 === 'string';
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value);
}
