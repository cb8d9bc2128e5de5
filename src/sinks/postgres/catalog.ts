import type pg from 'pg';
import { ConfigError } from '../../errors.js';
import { quoteIdentifier } from './quote.js';
import type { Statement, TargetColumn, ToldBy } from './target.js';

/** A table's name as the user wrote it, its parts unquoted. Without a schema, the search path finds it. */
export interface TableName {
  readonly schema: string | undefined;
  readonly name: string;
}

/** A column with what decides whether it can be written. */
export interface CatalogColumn extends TargetColumn {
  readonly generated: boolean;
  readonly mayInsert: boolean;
  readonly mayUpdate: boolean;
  readonly maySelect: boolean;
}

/** What the catalog says of a table. */
export interface Table {
  readonly schema: string;
  readonly name: string;
  /** `"schema"."table"` */
  readonly quotedName: string;
  /** pg_class.relkind: r table, p partitioned table, v view, m materialized view, f foreign table ... */
  readonly kind: string;
  /** Policies of row-level security hold for this role. */
  readonly rowSecurity: boolean;
  /** A rule, a policy or a trigger before each row, its own or a partition's, may change or keep back what is written. */
  readonly meddled: boolean;
  readonly columns: readonly CatalogColumn[];
  /** Unique indexes that ON CONFLICT can use (whole, of plain columns, checked at once), the primary key first. */
  readonly uniqueKeys: readonly (readonly string[])[];
  readonly primaryKey: readonly string[] | undefined;
  /** Those of the unique keys whose indexes tell values apart just as `=` of the columns does. */
  readonly plainKeys: readonly (readonly string[])[];
}

/** Who we are at the server and what it has left for us. */
export interface ServerState {
  /** server_version_num, such as 180004. */
  readonly serverVersion: number;
  readonly user: string;
  readonly database: string;
  /** Where a table named without a schema would be created; undefined when the search path leads nowhere. */
  readonly currentSchema: string | undefined;
  /** Staging tables are temporary. */
  readonly mayCreateTemporary: boolean;
  /** Connections we may hold, the asking one included; at least 1. */
  readonly free: number;
  /** The server's process that answered: pg_backend_pid. */
  readonly processID: number;
}

const part = /(?:"((?:[^"\0]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*))/y;

/**
 * Reads `table` or `schema.table` as SQL does: a part without quotes is folded to lower case.
 * @throws ConfigError when it is neither.
 */
export function parseTableName(text: string): TableName {
  const parts: string[] = [];
  for (let at = 0; ; at++) {
    part.lastIndex = at;
    const match = part.exec(text);
    if (!match) break;
    parts.push(match[1]?.replaceAll('""', '"') ?? match[2]!.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()));
    at = part.lastIndex;
    if (at < text.length && text[at] === '.') continue;
    const [first, second] = parts;
    if (at === text.length && parts.length === 1) return { schema: undefined, name: first! };
    if (at === text.length && parts.length === 2) return { schema: first, name: second! };
    break;
  }
  throw new ConfigError(
    'bad-table-name',
    `"${text}" is not a table's name: write table or schema.table, with double quotes around names that are not plain words ("my-table")`,
  );
}

export function quoteName({ schema, name }: TableName): string {
  return schema === undefined ? quoteIdentifier(name) : `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** Undefined when there is no such table, or none that the search path finds. */
export async function readTable(client: pg.Client, name: TableName): Promise<Table | undefined> {
  const found = await client.query<TableRow>(tableQuery, [quoteName(name)]);
  const row = found.rows[0];
  if (row === undefined) return undefined;
  const columns = await client.query<ColumnRow>(columnQuery, [row.oid]);
  const keys = await client.query<{ columns: string[]; primary: boolean; plain: boolean }>(keyQuery, [row.oid]);
  return {
    schema: row.schema,
    name: row.name,
    quotedName: quoteName(row),
    kind: row.kind,
    rowSecurity: row.row_security,
    meddled: row.meddled,
    columns: columns.rows.map(toColumn),
    uniqueKeys: keys.rows.map((key) => key.columns),
    plainKeys: keys.rows.filter((key) => key.plain).map((key) => key.columns),
    primaryKey: keys.rows.find((key) => key.primary)?.columns,
  };
}

interface TableRow {
  oid: number;
  schema: string;
  name: string;
  kind: string;
  row_security: boolean;
  meddled: boolean;
}

/** tgtype: 1 a trigger for each row, 2 before. Of tables that inherit from a plain one we know nothing. */
const meddled = `
c.relhasrules OR c.relrowsecurity OR (c.relkind = 'r' AND c.relhassubclass) OR EXISTS (
  WITH RECURSIVE tree AS (
    SELECT c.oid UNION ALL SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
  )
  SELECT FROM tree JOIN pg_catalog.pg_trigger t ON t.tgrelid = tree.oid WHERE t.tgtype & 3 = 3 AND t.tgenabled <> 'D'
)`;

const tableQuery = `
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, row_security_active(c.oid) AS row_security,
  ${meddled} AS meddled
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)`;

/** Whether a table, by its quoted name, is meddled with now. Once it was written to, that stays so to the transaction's end. */
export function askMeddled(quotedName: string): Statement {
  return { text: `SELECT ${meddled} FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1)`, values: [quotedName] };
}

interface ColumnRow {
  name: string;
  type: string;
  base_type: string;
  category: string;
  typmod: number;
  domain: boolean;
  not_null: boolean;
  has_default: boolean;
  identity: '' | 'a' | 'd';
  told_by: ToldBy;
  generated: boolean;
  may_insert: boolean;
  may_update: boolean;
  may_select: boolean;
}

/** Types whose equality compares all that is stored, the collation permitting. */
const wholeTypes = 'bool bytea date int2 int4 int8 oid text time timestamp timestamptz uuid varchar';

/** By the type, or that of an array's elements; of a numeric with a precision all values have one scale. */
const toldBy = `CASE
  WHEN l.collisdeterministic IS FALSE THEN 'image'
  WHEN coalesce(e.typtype, t.typtype) = 'e' OR coalesce(e.oid, t.oid) IN (${wholeTypes
    .split(' ')
    .map((type) => `'pg_catalog.${type}'::regtype`)
    .join(', ')}) THEN 'equality'
  WHEN t.oid = 'pg_catalog.numeric'::regtype THEN CASE WHEN b.typmod >= 0 THEN 'equality' ELSE 'scale' END
  ELSE 'image' END`;

/** A domain may be over a domain; the innermost one's typmod holds, a NOT NULL or default of any of them too. */
const columnQuery = `
WITH RECURSIVE chain AS (
  SELECT a.attnum, a.atttypid AS type, a.atttypmod AS typmod, false AS not_null, false AS has_default, 0 AS depth
  FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT c.attnum, t.typbasetype, t.typtypmod, c.not_null OR t.typnotnull, c.has_default OR t.typdefault IS NOT NULL, depth + 1
  FROM chain c JOIN pg_catalog.pg_type t ON t.oid = c.type WHERE t.typtype = 'd'
), base AS (
  SELECT DISTINCT ON (attnum) * FROM chain ORDER BY attnum, depth DESC
)
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, t.typname AS base_type,
  t.typcategory AS category, b.typmod, b.depth > 0 AS domain, a.attnotnull OR b.not_null AS not_null,
  a.atthasdef OR b.has_default OR a.attidentity <> '' AS has_default, a.attidentity AS identity,
  a.attgenerated <> '' AS generated, ${toldBy} AS told_by,
  has_column_privilege(a.attrelid, a.attnum, 'INSERT') AS may_insert,
  has_column_privilege(a.attrelid, a.attnum, 'UPDATE') AS may_update,
  has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS may_select
FROM base b
JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = b.attnum
JOIN pg_catalog.pg_type t ON t.oid = b.type
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' AND t.typlen = -1
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
ORDER BY a.attnum`;

const keyQuery = `
SELECT array_agg(a.attname::text ORDER BY k.position) AS columns, i.indisprimary AS primary,
  bool_and(k.coll IN (0, a.attcollation) AND o.opcdefault) AS plain
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL ROWS FROM (unnest(i.indkey::int2[]), unnest(i.indcollation::oid[]), unnest(i.indclass::oid[]))
  WITH ORDINALITY AS k (attnum, coll, class, position)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
JOIN pg_catalog.pg_opclass o ON o.oid = k.class
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.position <= i.indnkeyatts
GROUP BY i.indexrelid, i.indisprimary
ORDER BY i.indisprimary DESC, i.indexrelid`;

function toColumn(row: ColumnRow): CatalogColumn {
  return {
    name: row.name,
    type: row.type,
    baseType: row.base_type,
    category: row.category,
    typmod: row.typmod,
    domain: row.domain,
    notNull: row.not_null,
    hasDefault: row.has_default,
    identity: row.identity === 'a' ? 'always' : row.identity === 'd' ? 'by default' : undefined,
    toldBy: row.told_by,
    generated: row.generated,
    mayInsert: row.may_insert,
    mayUpdate: row.may_update,
    maySelect: row.may_select,
  };
}

/** `spare`: how many of the connections that the server will count are our own, and idle. */
export async function readServerState(client: pg.Client, spare = 0): Promise<ServerState> {
  const { rows } = await client.query<SessionRow>(sessionQuery);
  const row = rows[0]!;
  return {
    serverVersion: row.server_version,
    user: row.user_name,
    database: row.database,
    currentSchema: row.current_schema ?? undefined,
    mayCreateTemporary: row.temporary,
    free: Math.max(1, row.free + spare),
    processID: row.process_id,
  };
}

interface SessionRow {
  server_version: number;
  user_name: string;
  database: string;
  current_schema: string | null;
  temporary: boolean;
  free: number;
  process_id: number;
}

/**
 * The least of what the server, the role and the database have left; -1 stands for no limit, and a superuser knows none
 * but the server's. Roles without pg_read_all_stats see other sessions without their kind, but only sessions of users
 * have both a user and a database. Our own session is one of those counted, hence the + 1.
 */
const sessionQuery = `
WITH client AS (
  SELECT datid, usesysid FROM pg_catalog.pg_stat_activity
  WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
)
SELECT current_setting('server_version_num')::int AS server_version, current_user::text AS user_name,
  current_database()::text AS database, current_schema()::text AS current_schema,
  has_database_privilege(current_database(), 'TEMPORARY') AS temporary, pg_backend_pid() AS process_id,
  1 + least(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true)::int, 0) - (SELECT count(*) FROM client),
    CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper
      THEN r.rolconnlimit - (SELECT count(*) FROM client WHERE usesysid = r.oid) END,
    CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper
      THEN d.datconnlimit - (SELECT count(*) FROM client WHERE datid = d.oid) END
  )::int AS free
FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
WHERE r.rolname = session_user AND d.datname = current_database()`;
