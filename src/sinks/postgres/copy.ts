import type pg from 'pg';
import type { CsvLayout } from '../../contract/index.js';
import { execute, Flight, sql } from './flight.js';
import { quoteIdentifier, quoteLiteral } from './quote.js';
import type { Statement, TargetColumn } from './target.js';

const frameBytes = 128 * 1024;
const copyDone = Buffer.from([0x63, 0, 0, 0, 4]);

/** Bytes for one COPY, and which rows of the batch they are. */
export interface Payload {
  /** In parentheses after WITH. */
  readonly options: string;
  readonly pieces: Iterable<Uint8Array>;
  /** Called for each piece once the system has it: its memory may be used again. */
  sent?(piece: Uint8Array): void;
  /** Known once the pieces were taken. */
  readonly rows: number;
  /** The row of the batch that ends on (or holds) a line of the COPY, counted from 1 as PostgreSQL does. */
  rowAtLine(line: number): number | undefined;
}

export function copyStatement(table: string, columns: readonly TargetColumn[], options: string): string {
  const names = columns.map((column) => quoteIdentifier(column.name)).join(', ');
  return `COPY ${table} (${names}) FROM STDIN WITH (${options})`;
}

export const textOptions = `FORMAT text, ENCODING 'UTF8'`;

export function csvOptions(layout: CsvLayout): string {
  const values = `DELIMITER ${quoteLiteral(layout.delimiter)}, QUOTE ${quoteLiteral(layout.quote)}, NULL ${quoteLiteral(layout.null)}`;
  return `FORMAT csv, HEADER true, ${values}, ENCODING 'UTF8'`;
}

/**
 * Statements, a COPY with its data, and more statements, in one round trip: the data is sent behind the COPY without waiting for its
 * CopyInResponse. When anything fails the server reads over the rest up to Sync (protocol, "COPY Operations"), so the
 * error only has to stop the sending and send that Sync; nothing can be left waiting.
 *
 * pg-copy-streams is not used: it starts a COPY by a simple query of its own, which costs two more round trips, sends
 * each chunk in two packets, and when the connection dies while it waits for 'drain' its write never comes back.
 */
export class CopyFlight extends Flight {
  readonly #payload: Pick<Payload, 'pieces' | 'sent'>;
  readonly #after: readonly Statement[];
  #synced = false;
  #wake: (() => void) | undefined;

  constructor(
    before: readonly Statement[],
    copy: string,
    payload: Pick<Payload, 'pieces' | 'sent'>,
    after: readonly Statement[],
  ) {
    super([...before, sql(copy)]);
    this.#payload = payload;
    this.#after = after;
  }

  protected override afterStatements(connection: pg.Connection): void {
    this.#send(connection).catch((error: unknown) => {
      super.handleError(error instanceof Error ? error : new Error(String(error)));
      this.abandon('the data could not be made');
    });
  }

  override handleError(error: Error): void {
    super.handleError(error);
    this.#finish();
    this.#wake?.();
  }

  /** Stops sending; the server then fails the COPY with 57014 and says that it is ready again. */
  override abandon(reason: string): void {
    if (this.#synced || this.connection === undefined) return;
    this.#finish(copyFail(reason));
    this.#wake?.();
  }

  async #send(connection: pg.Connection): Promise<void> {
    const { stream } = connection;
    for (const piece of this.#payload.pieces) {
      for (let from = 0; from < piece.length; from += frameBytes) {
        const frame = piece.subarray(from, from + frameBytes);
        stream.cork();
        stream.write(copyDataHeader(frame.length));
        const last = from + frame.length === piece.length;
        const more = stream.write(frame, last ? (error) => error ?? this.#payload.sent?.(piece) : undefined);
        stream.uncork();
        if (!more) await this.#drained(stream);
        if (this.#synced) return;
      }
    }
    stream.cork();
    stream.write(copyDone);
    for (const statement of this.#after) execute(connection, statement);
    this.#finish();
    stream.uncork();
  }

  #drained(stream: pg.Connection['stream']): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        stream.off('drain', wake);
        this.#wake = undefined;
        resolve();
      };
      stream.on('drain', wake);
      this.#wake = wake;
    });
  }

  #finish(last?: Buffer): void {
    if (this.#synced || this.connection === undefined) return;
    this.#synced = true;
    const { stream } = this.connection;
    if (!stream.writable) return;
    stream.cork();
    if (last !== undefined) stream.write(last);
    this.connection.sync();
    stream.uncork();
  }
}

function copyDataHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(5);
  header[0] = 0x64;
  header.writeUInt32BE(length + 4, 1);
  return header;
}

function copyFail(reason: string): Buffer {
  const text = Buffer.from(`${reason}\0`);
  const message = Buffer.allocUnsafe(5 + text.length);
  message[0] = 0x66;
  message.writeUInt32BE(text.length + 4, 1);
  text.copy(message, 5);
  return message;
}
