import type { Refusal } from '../../contract/index.js';
import { messageOf, NotWritten, SluiceError } from '../../errors.js';
import type { Payload } from './copy.js';
import { isServerError, type ServerError } from './flight.js';
import type { TargetColumn } from './target.js';

/** A COPY that was under way when the error came. */
export interface Copied {
  /** Name of the relation, unquoted, as PostgreSQL's context lines have it. */
  readonly relation: string;
  readonly payload: Payload;
  readonly columns: readonly TargetColumn[];
}

/** Nothing of the batch landed, and why. `lost` when the connection did not outlive it. */
export function notWritten(error: unknown, lost: boolean, copied?: Copied): NotWritten {
  if (error instanceof NotWritten) return error;
  if (!isServerError(error)) {
    return new NotWritten(codeFor(error, lost), `the batch was not written: ${messageOf(error)}`, { cause: error });
  }
  const hint = copied && hintOf(error.where, copied);
  const column = error.column ?? hint?.column;
  const refusal: Refusal = { code: error.code, reason: reasonOf(error), ...(column !== undefined && { column }) };
  return new NotWritten(error.code, `PostgreSQL did not take the batch: ${error.message} (SQLSTATE ${error.code})`, {
    cause: error,
    refusal,
    ...(hint?.row !== undefined && { row: hint.row }),
  });
}

/** Violated keys and exclusions: only the detail tells which value met which. Of other errors it repeats the row. */
function reasonOf({ code, message, detail }: ServerError): string {
  return detail !== undefined && ['23503', '23505', '23P01'].includes(code) ? `${message}: ${detail}` : message;
}

function codeFor(error: unknown, lost: boolean): string {
  if (error instanceof SluiceError) return error.code;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return lost ? 'connection-lost' : 'unexpected';
}

/**
 * What COPY's context says: `COPY cities, line 3, column id: "x"`. The words are in the server's language, so only the
 * first number behind the relation's name is taken, and the column when it is one of ours.
 */
function hintOf(where: string | undefined, { relation, payload, columns }: Copied): { row?: number; column?: string } {
  const start = `COPY ${relation}, `;
  const line = where?.split('\n').find((text) => text.startsWith(start));
  const match = /^\D*?(\d+)(?:, \S+ (.*))?/s.exec(line?.slice(start.length) ?? '');
  if (match === null) return {};
  const row = payload.rowAtLine(Number(match[1]));
  const rest = match[2] ?? '';
  const column = columns.find(({ name }) => rest === name || rest.startsWith(`${name}: `))?.name;
  return { ...(row !== undefined && { row }), ...(column !== undefined && { column }) };
}

/** True when some value of the batch, rather than the table or the moment, is at fault. */
export function isDataError(error: ServerError): boolean {
  return /^2[23]/.test(error.code);
}
