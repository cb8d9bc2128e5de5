import pg from 'pg';
import { wireValue } from './cell-text.js';
import type { Statement } from './target.js';

/** What one statement of a flight gave: its command tag, such as `INSERT 0 5`, and its rows as text. */
export interface Answer {
  readonly tag: string;
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Rows a statement says it wrote, from its command tag. */
export function rowCount(answer: Answer | undefined): number {
  return Number(/\d+$/.exec(answer?.tag ?? '')?.[0] ?? 0);
}

/**
 * Several statements in one round trip: Parse, Bind and Execute of each, then one Sync. An error makes the server pass
 * over all that follows, so a COMMIT at the end is executed only when everything before it was. Statements are unnamed,
 * as poolers in transaction mode need it. pg calls the `handle...` methods; see its lib/client.js.
 */
export class Flight implements pg.Submittable {
  readonly answers: Answer[] = [];
  readonly done: Promise<readonly Answer[]>;
  protected connection: pg.Connection | undefined;
  readonly #statements: readonly Statement[];
  #rows: (string | null)[][] = [];
  #resolve!: (answers: readonly Answer[]) => void;
  #reject!: (error: Error) => void;

  constructor(statements: readonly Statement[]) {
    this.#statements = statements;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever waits sees the rejection; one nobody waits for yet must not end the process.
    this.done.catch(() => {});
  }

  submit(connection: pg.Connection): void {
    this.connection = connection;
    connection.stream.cork();
    for (const statement of this.#statements) execute(connection, statement);
    this.afterStatements(connection);
    connection.stream.uncork();
  }

  protected afterStatements(connection: pg.Connection): void {
    connection.sync();
  }

  /** False when pg refused it, as on a connection already lost: nothing of it reached the server. */
  get submitted(): boolean {
    return this.connection !== undefined;
  }

  /** Gives up what was not sent yet. A plain flight is sent whole. */
  abandon(_reason: string): void {}

  handleDataRow(message: { readonly fields: (string | null)[] }): void {
    this.#rows.push(message.fields);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.answers.push({ tag: message.text, rows: this.#rows });
    this.#rows = [];
  }

  handleReadyForQuery(): void {
    this.#resolve(this.answers);
  }

  /** An error of the server, after which it waits for Sync; or the loss of the connection. */
  handleError(error: Error): void {
    this.#reject(error);
  }

  handleRowDescription(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(): void {}
  handleCopyData(): void {}
}

/** Sends a statement without waiting. */
export function execute(connection: pg.Connection, statement: Statement): void {
  connection.parse({ name: '', text: statement.text, types: [] }, true);
  connection.bind({ values: statement.values.map(wireValue) }, true);
  connection.execute(null, true);
}

/** Submits a flight and waits for it. */
export function fly(client: pg.Client, statements: readonly Statement[]): Promise<readonly Answer[]> {
  return client.query(new Flight(statements)).done;
}

/** A statement without values. */
export function sql(text: string): Statement {
  return { text, values: [] };
}

/** An error the server sent, as against one of the connection. */
export type ServerError = pg.DatabaseError & { readonly code: string };

export function isServerError(error: unknown): error is ServerError {
  return error instanceof pg.DatabaseError && error.code !== undefined;
}
