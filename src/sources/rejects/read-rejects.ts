import { createReadStream } from 'node:fs';
import type { CsvLayout, Reject, Row } from '../../contract/index.js';
import { SourceError } from '../../errors.js';
import { readNdjson } from '../../formats/ndjson.js';

/** A reject as its line in a file has it. */
export interface FiledReject extends Reject {
  /** Whose reject it is; files of earlier versions do not say. */
  readonly run?: string;
  /** The file and the line, for messages. */
  readonly place: string;
}

/**
 * The lines of a rejects file, blank ones left out.
 * @throws SourceError `no-such-file`, `bad-rejects-file` that names the line.
 */
export async function* readRejects(path: string, signal: AbortSignal): AsyncGenerator<FiledReject, void, void> {
  try {
    for await (const { span, records, defects } of readNdjson(createReadStream(path, { signal }), { split: path })) {
      for (const [i, record] of records.entries()) {
        const place = `${path}, reject ${span.from + i + 1}`;
        const defect = defects?.get(i);
        if (defect?.kind === 'malformed') throw bad(place, defect.refusal.reason);
        yield rejectOf(record, place);
      }
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new SourceError('no-such-file', `there is no file ${path}: where a run has no rejects, it has none`, {
        cause: error,
      });
    throw error;
  }
}

function rejectOf(line: Row, place: string): FiledReject {
  const { run, split, row, record, code, reason, csv } = line;
  if (typeof split !== 'string' || typeof row !== 'number' || !Number.isSafeInteger(row) || row < 1)
    throw bad(place, 'it has no "split", or no "row" from 1 up, by which the reject is known');
  if (csv !== undefined && !isLayout(csv)) throw bad(place, '"csv" does not say how the record is to be read');
  return {
    ...(typeof run === 'string' && { run }),
    place,
    split,
    row: row - 1,
    record,
    code: typeof code === 'string' ? code : 'rejected',
    reason: typeof reason === 'string' ? reason : 'rejected before',
    ...(csv !== undefined && { csv }),
  };
}

function isLayout(value: unknown): value is CsvLayout {
  if (typeof value !== 'object' || value === null) return false;
  const { fields, delimiter, quote, null: nothing, eol } = value as Partial<Record<keyof CsvLayout, unknown>>;
  const character = (text: unknown) => typeof text === 'string' && text.length === 1;
  return (
    Array.isArray(fields) &&
    fields.every((field) => typeof field === 'string') &&
    character(delimiter) &&
    character(quote) &&
    typeof nothing === 'string' &&
    (eol === '\n' || eol === '\r\n' || eol === '\r')
  );
}

export function bad(place: string, what: string): SourceError {
  return new SourceError(
    'bad-rejects-file',
    `${place}: ${what}. Change nothing but "record" when you mend a reject, and keep one JSON object a line`,
  );
}
