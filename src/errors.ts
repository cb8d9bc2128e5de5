import type { Refusal } from './contract/record.js';

/** The root of everything Sluice throws on purpose. `code` is stable; the message says what happened, where, and what to do. */
export class SluiceError extends Error {
  override readonly name: string = 'SluiceError';
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The job, a flag or an option is wrong. Nothing was read or written. */
export class ConfigError extends SluiceError {
  override readonly name = 'ConfigError';
}

/** The source can't be read, or not any further. */
export class SourceError extends SluiceError {
  override readonly name = 'SourceError';
}

/** The target can't take the records: no such server, table or column, no permission. */
export class SinkError extends SluiceError {
  override readonly name = 'SinkError';
}

/** Nothing of the batch landed. */
export class NotWritten extends SluiceError {
  override readonly name = 'NotWritten';
  /** How the target judged the row at fault, where one is at fault. */
  readonly refusal: Refusal | undefined;
  /** The row of the batch that the target named. A hint: the rows before it may be at fault too. */
  readonly row: number | undefined;
  constructor(code: string, message: string, options?: ErrorOptions & { refusal?: Refusal; row?: number }) {
    super(code, message, options);
    this.refusal = options?.refusal;
    this.row = options?.row;
  }
}

/** The connection was lost at a moment when some or all of the batch may have landed. */
export class InDoubt extends SluiceError {
  override readonly name = 'InDoubt';
}

/** An error and what caused it, outermost first. */
export function* causesOf(error: unknown): Generator<Error> {
  const seen = new Set<Error>();
  for (let link = error; link instanceof Error && !seen.has(link); link = link.cause) {
    seen.add(link);
    yield link;
  }
}

/** The first code (SQLSTATE, errno, one of ours) that an error bears, itself or as its cause. */
export function codeOf(error: unknown): string | undefined {
  for (const link of causesOf(error)) if ('code' in link && typeof link.code === 'string') return link.code;
  return undefined;
}

/** What a person is told of anything that was thrown. Node.js leaves the message of some errors empty, such as that of a connection refused on every address of a host. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  if (error instanceof AggregateError) return [...new Set(error.errors.map(messageOf))].join('; ');
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
