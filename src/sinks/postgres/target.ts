/** How rows meet those that are there: see the README beside this file. */
export type Mode = 'append' | 'upsert' | 'ignore';

/** What the user asked for. */
export interface Wish {
  readonly mode: Mode;
  /** Empty: the primary key, where the mode needs a key. */
  readonly key: readonly string[];
}

/** A column of the target table, as its catalog has it. */
export interface TargetColumn {
  readonly name: string;
  /** As format_type prints it, such as `character varying(20)`; a domain by its own name. */
  readonly type: string;
  /** pg_type.typname with domains resolved: int4, text, _text for text[]. */
  readonly baseType: string;
  /** pg_type.typcategory of the base type: A array, B boolean, D date/time, E enum, N numeric, S string, U user-defined ... */
  readonly category: string;
  /** Typmod of the base type, -1 when it has none; for varchar(n) it is n + 4. */
  readonly typmod: number;
  /** The type is a domain: it may refuse values its base type takes. */
  readonly domain: boolean;
  readonly notNull: boolean;
  /** Has a default or is an identity column: may be left out although not null. */
  readonly hasDefault: boolean;
  readonly identity: 'always' | 'by default' | undefined;
  readonly toldBy: ToldBy;
}

/**
 * What tells two values of a column apart whenever they are not stored alike: the equality of its type; that and the scale, for a
 * numeric such as 1.1 and 1.10; or, where neither does (0 and -0, texts that a collation takes for the same, types without an
 * equality), only the stored image.
 */
export type ToldBy = 'equality' | 'scale' | 'image';

/** The table a load writes to, resolved and checked. */
export interface Target {
  /** `"schema"."table"`, quoted, ready for SQL. */
  readonly quotedName: string;
  readonly mode: Mode;
  /** The columns that are written, in the order of the batch's columns. */
  readonly columns: readonly TargetColumn[];
  /** Names of the key columns, all among `columns`; empty in append mode without a key. */
  readonly key: readonly string[];
  /** server_version_num, such as 180004. */
  readonly serverVersion: number;
  /** The server has MERGE, and nothing at the table (trigger, rule, policy) decides which rows are written. */
  readonly mergeable: boolean;
}

/** A statement with its values apart. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}
