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
  const sent: number[] = [];
  const gather = new Gather();
  gather.add(Buffer.from(`x${eol}`));
  let row = 0;
  for (const piece of csv.pieces) {
    let runStart = -1;
    for (let i = piece.first; i < piece.last; i++, row++) {
      const live = !left.has(row) && !batch.duplicates.has(row);
      if (live) {
        sent.push(row);
        if (runStart < 0) runStart = i;
      } else if (runStart >= 0) {
        addRun(gather, piece, runStart, i, eol);
        runStart = -1;
      }
    }
    if (runStart >= 0) addRun(gather, piece, runStart, piece.last, eol);
  }
  const rows = sent.length;
  return {
    options: csvOptions(csv.layout),
    pieces: gather.finish(),
    rows,
    rowAtLine: (line) => sent[recordAtLine(csv, new Set(sent), line)],
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
 * Which of the sent records ends on a line of the COPY or holds it. COPY names the last line it read of a record;
 * within quotes it counts `\n`, or `\r` where the line end has one (CopyReadLineText).
 */
function recordAtLine(csv: CsvBytes, sent: ReadonlySet<number>, line: number): number {
  const counted = csv.layout.eol === '\n' ? 0x0a : 0x0d;
  let at = 1;
  let index = 0;
  let row = 0;
  for (const piece of csv.pieces) {
    for (let i = piece.first; i < piece.last; i++, row++) {
      if (!sent.has(row)) continue;
      const end = piece.ends[i]!;
      let last = counted;
      for (let byte = startOf(piece, i); byte < end; byte++) {
        last = piece.data[byte]!;
        if (last === counted) at++;
      }
      if (last !== 0x0a && last !== 0x0d) at++;
      if (at >= line) return index;
      index++;
    }
  }
  return -1;
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
