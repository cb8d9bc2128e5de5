import type { Batch, Cell, CsvLayout, CsvPiece, Refusal, Span } from '../../../src/contract/index.js';

interface Rows {
  readonly columns: readonly string[];
  readonly rows: number;
  readonly bytes: number;
  readonly textual: boolean;
  cells(row: number, into: Cell[]): Refusal | undefined;
  record(row: number): unknown;
  readonly csv?: { readonly layout: CsvLayout; readonly pieces: readonly CsvPiece[] };
}

function batchOf(
  all: Rows,
  from: number,
  to: number,
  refused: ReadonlyMap<number, Refusal>,
  duplicates: ReadonlySet<number>,
): Batch {
  const within = <T>(row: number, value: T): [number, T][] => (row >= from && row < to ? [[row - from, value]] : []);
  const span: Span = { split: 'test', from, rows: to - from, next: { row: to, token: to } };
  const whole = from === 0 && to === all.rows;
  return {
    rows: to - from,
    bytes: all.bytes,
    spans: [span],
    columns: all.columns,
    textual: all.textual,
    ...(all.csv && { csv: whole ? all.csv : { layout: all.csv.layout, pieces: cut(all.csv.pieces, from, to) } }),
    refused: new Map([...refused].flatMap(([row, refusal]) => within(row, refusal))),
    duplicates: new Set([...duplicates].flatMap((row) => within(row, row).map(([at]) => at))),
    cells: (row, into) => all.cells(from + row, into),
    origin: (row) => ({ split: 'test', row: from + row, record: all.record(from + row) }),
    part: (first, last) => batchOf(all, from + first, from + last, refused, duplicates),
    refuse: (more) =>
      batchOf(
        all,
        from,
        to,
        new Map([...refused, ...[...more].map(([row, r]) => [from + row, r] as const)]),
        duplicates,
      ),
  };
}

function cut(pieces: readonly CsvPiece[], from: number, to: number): CsvPiece[] {
  const parts: CsvPiece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const count = piece.last - piece.first;
    const first = Math.max(from - at, 0);
    const last = Math.min(to - at, count);
    if (first < last) parts.push({ ...piece, first: piece.first + first, last: piece.first + last });
    at += count;
  }
  return parts;
}

/** A batch of decoded records, one array of cells each. */
export function decodedBatch(
  columns: readonly string[],
  records: readonly (readonly Cell[])[],
  options: { textual?: boolean; duplicates?: readonly number[] } = {},
): Batch {
  const rows: Rows = {
    columns,
    rows: records.length,
    bytes: 0,
    textual: options.textual ?? false,
    cells(row, into) {
      for (let i = 0; i < columns.length; i++) into[i] = records[row]![i];
      return undefined;
    },
    record: (row) => records[row],
  };
  return batchOf(rows, 0, records.length, new Map(), new Set(options.duplicates));
}

export interface CsvBatchOptions {
  readonly delimiter?: string;
  readonly quote?: string;
  readonly null?: string;
  readonly eol?: CsvLayout['eol'];
  /** Records a piece; default: one piece. */
  readonly pieceRows?: number;
  readonly duplicates?: readonly number[];
}

/** A batch of CSV bytes. `text` has no header. */
export function csvBatch(columns: readonly string[], text: string | Buffer, options: CsvBatchOptions = {}): Batch {
  const { delimiter = ',', quote = '"', eol = '\n' } = options;
  const layout: CsvLayout = { fields: columns, delimiter, quote, null: options.null ?? '', eol };
  const data = Buffer.from(text);
  const ends = recordEnds(data, layout);
  const size = options.pieceRows ?? ends.length;
  const pieces: CsvPiece[] = [];
  for (let first = 0; first < ends.length; first += size)
    pieces.push({ data, ends, first, last: Math.min(first + size, ends.length) });
  const record = (row: number) => data.subarray(row === 0 ? 0 : ends[row - 1], ends[row]).toString('utf8');
  const rows: Rows = {
    columns,
    rows: ends.length,
    bytes: data.length,
    textual: true,
    csv: { layout, pieces },
    record,
    cells(row, into) {
      const cells = split(record(row), layout);
      if (cells.length !== columns.length)
        return { code: 'malformed-csv', reason: `${cells.length} fields instead of ${columns.length}` };
      for (let i = 0; i < cells.length; i++) into[i] = cells[i];
      return undefined;
    },
  };
  return batchOf(rows, 0, ends.length, new Map(), new Set(options.duplicates));
}

function recordEnds(data: Buffer, layout: CsvLayout): Uint32Array {
  const last = layout.eol.charCodeAt(layout.eol.length - 1);
  const quote = layout.quote.charCodeAt(0);
  const ends: number[] = [];
  let quoted = false;
  for (let i = 0; i < data.length; i++) {
    if (data[i] === quote) quoted = !quoted;
    else if (data[i] === last && !quoted) ends.push(i + 1);
  }
  if (data.length > (ends.at(-1) ?? 0)) ends.push(data.length);
  return Uint32Array.from(ends);
}

function split(record: string, layout: CsvLayout): (string | null)[] {
  const line = record.endsWith(layout.eol) ? record.slice(0, -layout.eol.length) : record;
  const cells: (string | null)[] = [];
  let cell = '';
  let quoted = false;
  let wasQuoted = false;
  for (let i = 0; i <= line.length; i++) {
    const character = line[i];
    if (character === undefined || (character === layout.delimiter && !quoted)) {
      cells.push(!wasQuoted && cell === layout.null ? null : cell);
      cell = '';
      wasQuoted = false;
    } else if (character !== layout.quote) {
      cell += character;
    } else if (quoted && line[i + 1] === layout.quote) {
      cell += line[++i];
    } else {
      quoted = !quoted;
      wasQuoted = true;
    }
  }
  return cells;
}
