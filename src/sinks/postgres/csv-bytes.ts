import type { Batch, CsvBytes, CsvPiece } from '../../contract/index.js';
import { csvOptions, type Payload } from './copy.js';

/** Runs of bytes below this are gathered into one buffer; larger ones are sent from where they lie. */
const tiny = 4 * 1024;

/**
 * The batch's CSV bytes as they are, without the rows in `left` or duplicate. In front goes a header line of our own:
 * COPY takes its line end from the first line it sees, and then passes over it as the header.
 */
export function csvPayload(batch: Batch, csv: CsvBytes, left: ReadonlyMap<number, unknown>): Payload {
  const { eol } = csv.layout;
  const out = new Set([...left.keys(), ...batch.duplicates]);
  const gather = new Gather();
  gather.add(Buffer.from(`x${eol}`));
  let row = 0;
  for (const piece of csv.pieces) {
    if (out.size === 0) {
      addRun(gather, piece, piece.first, piece.last, eol);
      continue;
    }
    let runStart = piece.first;
    for (let i = piece.first; i < piece.last; i++, row++) {
      if (!out.has(row)) continue;
      if (i > runStart) addRun(gather, piece, runStart, i, eol);
      runStart = i + 1;
    }
    if (piece.last > runStart) addRun(gather, piece, runStart, piece.last, eol);
  }
  return {
    options: csvOptions(csv.layout),
    pieces: gather.finish(),
    rows: batch.rows - out.size,
    rowAtLine: (line) => rowAtLine(csv, out, line),
  };
}

function addRun(gather: Gather, piece: CsvPiece, first: number, last: number, eol: string): void {
  const bytes = piece.data.subarray(startOf(piece, first), piece.ends[last - 1]);
  gather.add(bytes);
  // The last record of a file may lack its line end.
  const end = bytes[bytes.length - 1];
  if (end !== 0x0a && end !== 0x0d) gather.add(Buffer.from(eol));
}

function startOf(piece: CsvPiece, record: number): number {
  return record === 0 ? 0 : piece.ends[record - 1]!;
}

/**
 * Which row of the batch ends on a line of the COPY or holds it, rows in `out` not being sent. COPY names the last line it
 * read of a record; within quotes it counts `\n`, or `\r` where the line end has one (CopyReadLineText).
 */
function rowAtLine(csv: CsvBytes, out: ReadonlySet<number>, line: number): number | undefined {
  const counted = csv.layout.eol === '\n' ? 0x0a : 0x0d;
  let at = 1;
  let row = 0;
  for (const piece of csv.pieces) {
    for (let i = piece.first; i < piece.last; i++, row++) {
      if (out.has(row)) continue;
      const end = piece.ends[i]!;
      let last = counted;
      for (let byte = startOf(piece, i); byte < end; byte++) {
        last = piece.data[byte]!;
        if (last === counted) at++;
      }
      if (last !== 0x0a && last !== 0x0d) at++;
      if (at >= line) return row;
    }
  }
  return undefined;
}

class Gather {
  readonly #pieces: Uint8Array[] = [];
  #small: Uint8Array[] = [];

  add(bytes: Uint8Array): void {
    if (bytes.length < tiny) {
      this.#small.push(bytes);
      return;
    }
    this.#flush();
    this.#pieces.push(bytes);
  }

  finish(): readonly Uint8Array[] {
    this.#flush();
    return this.#pieces;
  }

  #flush(): void {
    if (this.#small.length > 0) this.#pieces.push(Buffer.concat(this.#small));
    this.#small = [];
  }
}
