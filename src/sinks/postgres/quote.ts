import pg from 'pg';

/** A name as SQL has it, whatever is in it. */
export function quoteIdentifier(name: string): string {
  return pg.escapeIdentifier(name);
}

/** A value as SQL text, for the few places where no parameter may stand, such as COPY's options. */
export function quoteLiteral(value: string): string {
  return pg.escapeLiteral(value);
}
