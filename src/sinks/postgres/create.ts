import type pg from 'pg';
import type { Cell, Intake } from '../../contract/index.js';
import { codeOf, SinkError } from '../../errors.js';
import { isLosslessNumber } from '../../formats/json.js';
import { quoteName, type ServerState, type TableName } from './catalog.js';
import { quoteIdentifier } from './quote.js';
import type { Wish } from './target.js';

/** PostgreSQL cuts longer names off, and two columns might become one. */
const longestName = 63;

/**
 * The statement that will make the table.
 * @throws SinkError when the schema is missing or closed to us, or the key is not what the mode needs.
 */
export async function planCreation(
  client: pg.Client,
  name: TableName,
  intake: Intake,
  { mode, key }: Wish,
  session: ServerState,
): Promise<string> {
  if (mode !== 'append' && key.length === 0) {
    throw new SinkError('no-key', `to create a table for mode ${mode} say what tells its rows apart: --key column`);
  }
  const schema = name.schema ?? session.currentSchema;
  if (schema === undefined) {
    throw new SinkError(
      'no-schema',
      `user "${session.user}" has no schema of database "${session.database}" in the search path: name one, as in --table schema.${name.name}`,
    );
  }
  const { rows } = await client.query<{ creatable: boolean }>(
    `SELECT has_schema_privilege(oid, 'CREATE') AS creatable FROM pg_catalog.pg_namespace WHERE nspname = $1`,
    [schema],
  );
  if (rows[0] === undefined) throw missingSchema(schema, session);
  if (!rows[0].creatable) {
    throw new SinkError(
      'no-privilege',
      `user "${session.user}" may not create tables in schema ${quoteIdentifier(schema)}; its owner can allow it: GRANT CREATE ON SCHEMA ${quoteIdentifier(schema)} TO ${quoteIdentifier(session.user)}`,
    );
  }
  return createTable(quoteName({ schema, name: name.name }), intake, key);
}

export function missingSchema(schema: string, session: ServerState): SinkError {
  return new SinkError(
    'no-schema',
    `database "${session.database}" has no schema ${quoteIdentifier(schema)}: correct --table, or make it: CREATE SCHEMA ${quoteIdentifier(schema)}`,
  );
}

/** Makes the table; loads that start together make it once. */
export async function createMissing(client: pg.Client, statement: string): Promise<void> {
  try {
    await begin(client);
    await client.query(statement);
    await client.query('COMMIT');
  } catch (error) {
    // IF NOT EXISTS does not wait for somebody else who is making the table just now.
    if (codeOf(error) !== '42P07' && codeOf(error) !== '23505') throw error;
    await client.query('ROLLBACK');
  }
}

/**
 * Makes the table, lets `look` see it, and takes it back: so a plan is as true as the load itself. An error leaves the
 * transaction open, and the pool drops the connection with it.
 */
export async function rehearse<Result>(
  client: pg.Client,
  statement: string,
  look: () => Promise<Result>,
): Promise<Result> {
  await begin(client);
  await client.query(statement);
  const seen = await look();
  await client.query('ROLLBACK');
  return seen;
}

async function begin(client: pg.Client): Promise<void> {
  await client.query('BEGIN');
  await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('sluice create table', 0))`);
}

/** A type for each column of the intake, judged by its sample; `text` wherever another type would lose or refuse anything. */
export function inferTypes(intake: Pick<Intake, 'columns' | 'sample' | 'textual'>): string[] {
  const judge = intake.textual ? inferFromText : inferFromValues;
  return intake.columns.map((_, index) => judge(intake.sample.map((row) => row[index])));
}

/**
 * The statement that makes a table for this intake; `key` becomes the primary key.
 * @throws SinkError when a key column is not in the intake, or a name is longer than PostgreSQL's names are.
 */
export function createTable(quotedName: string, intake: Intake, key: readonly string[]): string {
  for (const column of intake.columns) {
    if (column === '' || Buffer.byteLength(column) > longestName || column.includes('\0')) {
      throw new SinkError(
        'bad-column-name',
        `the field "${column}" can't name a column (1 to ${longestName} bytes, no NUL): rename it with --columns name=field`,
      );
    }
  }
  const missing = key.filter((column) => !intake.columns.includes(column));
  if (missing.length > 0) {
    throw new SinkError(
      'missing-key',
      `the key needs ${missing.map(quoteIdentifier).join(', ')}, which the records don't have (they have ${intake.columns.map(quoteIdentifier).join(', ')}): correct --key, or fill it with --columns`,
    );
  }
  const types = inferTypes(intake);
  const lines = intake.columns.map((column, index) => `${quoteIdentifier(column)} ${types[index]}`);
  if (key.length > 0) lines.push(`PRIMARY KEY (${key.map(quoteIdentifier).join(', ')})`);
  return `CREATE TABLE IF NOT EXISTS ${quotedName} (\n  ${lines.join(',\n  ')}\n)`;
}

/** The kinds a value may be seen as; a column's type is what all its values agree on. */
type Kind =
  | 'bigint'
  | 'numeric'
  | 'double precision'
  | 'boolean'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'uuid'
  | 'bytea'
  | 'jsonb'
  | 'text';

function inferFromText(cells: readonly Cell[]): string {
  return agree(cells, (cell) =>
    // A constant or a default of the job's is a value of its own.
    typeof cell === 'string' ? (numberKind(cell) ?? booleanKind(cell) ?? momentKind(cell)) : kindOf(cell),
  );
}

function inferFromValues(cells: readonly Cell[]): string {
  return agree(cells, kindOf);
}

function agree(cells: readonly Cell[], judge: (cell: Cell) => Kind | undefined): Kind {
  let agreed: Kind | undefined;
  for (const cell of cells) {
    if (cell === null || cell === undefined) continue;
    const kind = judge(cell) ?? 'text';
    agreed = agreed === undefined || agreed === kind ? kind : wider(agreed, kind);
    if (agreed === 'text') return agreed;
  }
  return agreed ?? 'text';
}

/** Numbers have a common type, anything else that differs is text. */
function wider(one: Kind, other: Kind): Kind {
  const ladder: readonly Kind[] = ['bigint', 'numeric', 'double precision'];
  const [a, b] = [ladder.indexOf(one), ladder.indexOf(other)];
  return a < 0 || b < 0 ? 'text' : ladder[Math.max(a, b)]!;
}

function kindOf(value: Cell): Kind | undefined {
  switch (typeof value) {
    case 'string':
      // What was a string stays one, be it made of digits; only forms that nothing else has are taken for more.
      return momentKind(value);
    case 'number':
      if (!Number.isFinite(value)) return 'double precision';
      return Number.isInteger(value) ? integerKind(BigInt(value)) : 'numeric';
    case 'bigint':
      return integerKind(value);
    case 'boolean':
      return 'boolean';
    case 'object':
      if (value instanceof Date) return 'timestamptz';
      if (value instanceof Uint8Array) return 'bytea';
      if (isLosslessNumber(value)) return /^-?\d+$/.test(value.value) ? integerKind(BigInt(value.value)) : 'numeric';
      return 'jsonb';
    default:
      return 'text';
  }
}

/** Digits that would come back otherwise (leading zeros, a plus sign, -0) are no numbers; nor are exponents, for codes look like them. */
function numberKind(text: string): Kind | undefined {
  if (/^(?:0|-?[1-9]\d*)$/.test(text)) return integerKind(BigInt(text));
  return /^-?(?:0|[1-9]\d*)\.\d+$/.test(text) ? 'numeric' : undefined;
}

function integerKind(value: bigint): Kind {
  return BigInt.asIntN(64, value) === value ? 'bigint' : 'numeric';
}

function booleanKind(text: string): Kind | undefined {
  return /^(?:true|false)$/i.test(text) ? 'boolean' : undefined;
}

const moment =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ]([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?(Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?)?$/;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function momentKind(text: string): Kind | undefined {
  const match = moment.exec(text);
  if (!match) return uuid.test(text) ? 'uuid' : undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  // PostgreSQL has no year 0 and no 30 February.
  if (year === 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  if (match[4] === undefined) return 'date';
  return match[5] === undefined ? 'timestamp' : 'timestamptz';
}

function daysIn(year: number, month: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, 0);
  return date.getUTCDate();
}
