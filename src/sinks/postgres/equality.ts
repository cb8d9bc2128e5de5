import { quoteIdentifier } from './quote.js';
import type { TargetColumn } from './target.js';

/** Types with an equality of their own that a reader would call so. The others are compared as text. */
const comparable = new Set(
  `bool int2 int4 int8 oid float4 float8 numeric money date time timetz timestamp timestamptz uuid bytea jsonb
   inet cidr macaddr macaddr8 bit varbit name char pg_lsn int4range int8range numrange daterange tsrange tstzrange`.split(
    /\s+/,
  ),
);
const collatable = new Set(['text', 'varchar', 'bpchar']);

/** Whether rows can be found by such a column. */
export function hasEquality({ baseType }: TargetColumn): boolean {
  return comparable.has(baseType) || collatable.has(baseType);
}

/**
 * Whether a staged value `s` is the one the target `t` has, by the type's own equality: numeric 1.1 is 1.10. Texts are compared by their
 * bytes, for a collation may hold `A` and `a` for equal; types without an equality of their own are compared as text.
 */
export function sameValue({ name, baseType, category }: TargetColumn): string {
  const column = quoteIdentifier(name);
  const element = category === 'A' ? baseType.slice(1) : baseType;
  const convert = collatable.has(element)
    ? ' COLLATE "C"'
    : comparable.has(element) || category === 'E'
      ? ''
      : '::text';
  return `t.${column}${convert} IS NOT DISTINCT FROM s.${column}${convert}`;
}
