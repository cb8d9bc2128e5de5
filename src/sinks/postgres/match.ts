import type pg from 'pg';
import type { Intake } from '../../contract/index.js';
import { SinkError } from '../../errors.js';
import { type CatalogColumn, quoteName, type ServerState, type Table, type TableName } from './catalog.js';
import { inferTypes, missingSchema } from './create.js';
import { quoteIdentifier } from './quote.js';
import type { Mode, Target, TargetColumn, Wish } from './target.js';

export interface Match {
  /** With the columns of the intake. */
  readonly target: Target;
  /** The table's other columns that could be written. */
  readonly others: readonly TargetColumn[];
  /** What a person should know of how the intake met the table. */
  readonly notes: readonly string[];
}

/**
 * Matches the intake's columns with a table's, by exact name.
 * @throws SinkError that names every column of its kind at fault, and the remedy.
 */
export function match(intake: Intake, table: Table, wish: Wish, session: ServerState): Match {
  checkKind(table, wish.mode);
  const notes: string[] = [];
  const nothingKnown = intake.columns.length === 0;
  const columns = nothingKnown ? [] : writable(intake, table, notes);
  const key = resolveKey(table, wish, notes);
  if (!nothingKnown) checkPresence(columns, key, table);
  const others = table.columns.filter((column) => mayWrite(column, key, wish.mode) && !columns.includes(column));
  checkPrivileges(nothingKnown && others.length === 0 ? table.columns : columns, key, table, wish.mode, session);
  return {
    target: {
      quotedName: table.quotedName,
      mode: wish.mode,
      columns: columns.map(targetColumn),
      key,
      serverVersion: session.serverVersion,
      mergeable:
        session.serverVersion >= 150_000 && !table.meddled && table.plainKeys.some((plain) => isSame(plain, key)),
    },
    others: others.map(targetColumn),
    notes,
  };
}

function targetColumn(column: CatalogColumn): TargetColumn {
  const { generated: _g, mayInsert: _i, mayUpdate: _u, maySelect: _s, ...target } = column;
  return target;
}

function mayWrite(column: CatalogColumn, key: readonly string[], mode: Mode): boolean {
  if (column.generated || !column.mayInsert) return false;
  if (mode === 'upsert' && !column.mayUpdate && !key.includes(column.name)) return false;
  return mode === 'append' || column.maySelect;
}

/** Says so, with what a slip of the finger may have meant. */
export async function missingTable(client: pg.Client, name: TableName, session: ServerState): Promise<SinkError> {
  if (name.schema !== undefined) {
    const found = await client.query('SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1', [name.schema]);
    if (found.rowCount === 0) return missingSchema(name.schema, session);
  }
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND CASE WHEN $1::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1 END
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY c.relname LIMIT 1000`,
    [name.schema],
  );
  const near = nearest(
    name.name,
    rows.map((row) => row.name),
  );
  const guess = near === undefined ? '' : ` (did you mean ${quoteName({ schema: name.schema, name: near })}?)`;
  return new SinkError(
    'no-such-table',
    `database "${session.database}" has no table ${quoteName(name)}${guess}: correct --table, or let --create make it from a sample of the records`,
  );
}

const kinds: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
  i: 'an index',
  c: 'a composite type',
};

function checkKind(table: Table, mode: Mode): void {
  if (table.kind !== 'r' && table.kind !== 'p') {
    throw new SinkError(
      'not-a-table',
      `${table.quotedName} is ${kinds[table.kind] ?? 'no table'}, and rows can only be written exactly once to a table of this database: name the table behind it`,
    );
  }
  // COPY has no row-level security; the other modes insert from a staging table, where it holds.
  if (table.rowSecurity && mode === 'append') {
    throw new SinkError(
      'row-security',
      `row-level security of ${table.quotedName} holds for this user, and COPY can't write through it: use --mode ignore with a key, or a role with BYPASSRLS`,
    );
  }
}

/** The table's columns for those of the intake, in the intake's order. */
function writable(intake: Intake, table: Table, notes: string[]): CatalogColumn[] {
  const repeated = intake.columns.filter((name, index) => intake.columns.indexOf(name) !== index);
  if (repeated.length > 0) {
    throw new SinkError(
      'repeated-column',
      `${list(repeated)} would be written more than once: give each column one field with --columns`,
    );
  }
  const byName = new Map(table.columns.map((column) => [column.name, column]));
  const unknown = intake.columns.filter((name) => !byName.has(name));
  const generated = intake.columns.filter((name) => byName.get(name)?.generated);
  if (!intake.ignoreExtra) {
    if (unknown.length > 0) throw unknownFields(unknown, intake, table);
    if (generated.length > 0) {
      throw new SinkError(
        'generated-column',
        `${table.quotedName} computes ${list(generated)} by itself and takes no value for it: leave it out with --columns, or use --ignore-extra`,
      );
    }
  }
  const columns = intake.columns.flatMap((name) => byName.get(name) ?? []).filter((column) => !column.generated);
  if (columns.length === 0) {
    throw new SinkError(
      'no-columns',
      `none of the fields (${list(intake.columns)}) is a column of ${table.quotedName}, which has ${list(namesOf(table))}: map them with --columns column=field`,
    );
  }
  if (unknown.length > 0) notes.push(`left out, for ${table.quotedName} has no such columns: ${list(unknown)}`);
  if (generated.length > 0) notes.push(`left out, for the table computes them: ${list(generated)}`);
  return columns;
}

function unknownFields(unknown: readonly string[], intake: Intake, table: Table): SinkError {
  const types = inferTypes(intake);
  const guesses = unknown.map((name) => ({ name, near: nearest(name, namesOf(table)) }));
  const named = guesses.map(({ name, near }) =>
    near === undefined ? quoteIdentifier(name) : `${quoteIdentifier(name)} (did you mean ${quoteIdentifier(near)}?)`,
  );
  const guess = guesses.find(({ near }) => near !== undefined);
  const rename = guess ? `--columns ${guess.near}=${guess.name},...` : '--columns column=field';
  const remedy = intake.mapped
    ? 'Correct the mapping (--columns) where it names the column'
    : `Rename with ${rename}, drop such fields with --ignore-extra`;
  const additions = unknown.map((name) => `ADD COLUMN ${quoteIdentifier(name)} ${types[intake.columns.indexOf(name)]}`);
  return new SinkError(
    'unknown-field',
    `${table.quotedName} has no column ${named.join(', ')}; it has ${list(namesOf(table))}. ${remedy}, or add columns: ALTER TABLE ${table.quotedName} ${additions.join(', ')}`,
  );
}

function resolveKey(table: Table, wish: Wish, notes: string[]): readonly string[] {
  const { mode, key } = wish;
  const strangers = key.filter((name) => !namesOf(table).includes(name));
  if (strangers.length > 0) {
    const near = nearest(strangers[0]!, namesOf(table));
    throw new SinkError(
      'unknown-key',
      `the key names ${list(strangers)}, which ${table.quotedName} does not have${near === undefined ? '' : ` (did you mean ${quoteIdentifier(near)}?)`}; it has ${list(namesOf(table))}`,
    );
  }
  if (mode === 'append') return key;
  if (key.length === 0) {
    // A deferrable primary key can't serve ON CONFLICT, and is not among the unique keys.
    if (table.primaryKey === undefined) {
      throw new SinkError(
        'no-key',
        `mode ${mode} needs to know what tells rows of ${table.quotedName} apart, and it has no primary key to go by: give --key${table.uniqueKeys[0] ? `, such as --key ${table.uniqueKeys[0].join(',')}` : ''}`,
      );
    }
    notes.push(`the key is the primary key: ${list(table.primaryKey)}`);
    return table.primaryKey;
  }
  if (!table.uniqueKeys.some((unique) => isSame(unique, key))) {
    throw new SinkError(
      'no-unique-index',
      `mode ${mode} needs a unique index of ${table.quotedName} on exactly ${list(key)} (whole, of plain columns, not deferrable); make one: CREATE UNIQUE INDEX ON ${table.quotedName} (${list(key)})`,
    );
  }
  return key;
}

function isSame(columns: readonly string[], key: readonly string[]): boolean {
  return columns.length === key.length && key.every((name) => columns.includes(name));
}

/** Columns that must be given and are not. */
function checkPresence(columns: readonly CatalogColumn[], key: readonly string[], table: Table): void {
  const given = new Set(columns.map((column) => column.name));
  const missingKey = key.filter((name) => !given.has(name));
  if (missingKey.length > 0) {
    throw new SinkError(
      'missing-key',
      `the key column ${list(missingKey)} of ${table.quotedName} is not among the fields (${list([...given])}): fill it with --columns ${missingKey[0]}=field`,
    );
  }
  const missing = table.columns.filter((c) => c.notNull && !c.hasDefault && !c.generated && !given.has(c.name));
  if (missing.length > 0) {
    const names = missing.map((column) => column.name);
    throw new SinkError(
      'missing-column',
      `${table.quotedName} takes no null in ${list(names)}, which the records don't have: fill it with --columns ${names[0]}=field, or give it a default: ALTER TABLE ${table.quotedName} ALTER COLUMN ${quoteIdentifier(names[0]!)} SET DEFAULT ...`,
    );
  }
}

/** Columns whose rights ON CONFLICT and the search for unchanged rows take, before the first row is sent. */
function checkPrivileges(
  columns: readonly CatalogColumn[],
  key: readonly string[],
  table: Table,
  mode: Mode,
  session: ServerState,
): void {
  const missing: string[] = [];
  if (columns.some((column) => !column.mayInsert)) missing.push('INSERT');
  if (mode === 'upsert' && columns.some((column) => !column.mayUpdate && !key.includes(column.name))) {
    missing.push('UPDATE');
  }
  if (mode !== 'append' && columns.some((column) => !column.maySelect)) missing.push('SELECT');
  if (missing.length > 0) {
    throw new SinkError(
      'no-privilege',
      `user "${session.user}" may not ${missing.join(', ')} on ${table.quotedName}; its owner can allow it: GRANT ${missing.join(', ')} ON ${table.quotedName} TO ${quoteIdentifier(session.user)}`,
    );
  }
  if (mode !== 'append' && !session.mayCreateTemporary) {
    throw new SinkError(
      'no-privilege',
      `user "${session.user}" may not make temporary tables in database "${session.database}", which mode ${mode} stages rows in; its owner can allow it: GRANT TEMPORARY ON DATABASE ${quoteIdentifier(session.database)} TO ${quoteIdentifier(session.user)}`,
    );
  }
}

function namesOf(table: Table): string[] {
  return table.columns.map((column) => column.name);
}

function list(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(', ');
}

/** A candidate that differs only in case and punctuation (cityId, city_id), or else by one slip of the finger. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const bare = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  return (
    candidates.find((candidate) => bare(candidate) === bare(name) && bare(name) !== '') ??
    candidates.find((candidate) => name.length > 2 && oneEditApart(name.toLowerCase(), candidate.toLowerCase()))
  );
}

/** One letter more, less, changed, or two neighbours swapped. */
function oneEditApart(a: string, b: string): boolean {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  if (long.length - short.length > 1) return false;
  let at = 0;
  while (at < short.length && short[at] === long[at]) at++;
  if (long.length > short.length) return short.slice(at) === long.slice(at + 1);
  if (short.slice(at + 1) === long.slice(at + 1)) return true;
  return short[at] === long[at + 1] && short[at + 1] === long[at] && short.slice(at + 2) === long.slice(at + 2);
}
