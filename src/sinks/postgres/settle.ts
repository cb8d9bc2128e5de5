import type { Context, Reject, Span } from '../../contract/index.js';
import { describeJson, stringifyJson } from '../../formats/json.js';
import type { Statement } from './target.js';

type Place = Pick<Reject, 'split' | 'row'>;

/** What a batch's transaction says to the ledger. It must be READ COMMITTED: the fence looks again after it has waited. */
export interface LedgerStatements {
  /** First of all: waits while a resume takes the run over, then raises SQLSTATE SL001 if it is no longer ours. */
  fence(context: Context): readonly Statement[];
  /** Last before COMMIT: the batch's spans are settled and its rejects kept. */
  settle(spans: readonly Span[], rejects: readonly Reject[], context: Context): readonly Statement[];
  /** With `settle`: these rejects of `run` are written, and can't be again (23505 in schema sluice). */
  replayed(run: string, rows: readonly Place[], context: Context): readonly Statement[];
  /** Gives a row if these spans are settled; nothing to ask where no account is kept. */
  settled(spans: readonly Span[], context: Context): Statement | undefined;
}

/** Where account is kept in the tables of this schema, its name quoted if it needs that. */
export function ledgerIn(schema: string): LedgerStatements {
  return {
    fence: ({ run, epoch }) => [{ text: `SELECT ${schema}.fence($1, $2)`, values: [run, epoch] }],

    settle: (spans, rejects, { run }) => [
      {
        text: `WITH settled AS (
  INSERT INTO ${schema}.span (run, split, from_row, rows, next)
  SELECT $1::text, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::json[])
)
INSERT INTO ${schema}.reject (run, split, "row", code, "column", reason, record, csv)
SELECT $1::text, * FROM unnest($6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::json[], $12::json[])`,
        values: [
          run,
          spans.map((span) => span.split),
          spans.map((span) => span.from),
          spans.map((span) => span.rows),
          spans.map((span) => stringifyJson(span.next) ?? null),
          rejects.map((reject) => reject.split),
          rejects.map((reject) => reject.row),
          rejects.map((reject) => storable(reject.code)),
          rejects.map((reject) => (reject.column === undefined ? null : storable(reject.column))),
          rejects.map((reject) => storable(reject.reason)),
          rejects.map((reject) => describeJson(reject.record) ?? null),
          rejects.map((reject) => (reject.csv === undefined ? null : JSON.stringify(reject.csv))),
        ],
      },
    ],

    replayed: (of, rows, { run }) => [
      {
        text: `INSERT INTO ${schema}.replayed (run, by, split, "row")
SELECT $1::text, $2::text, * FROM unnest($3::text[], $4::bigint[])`,
        values: [of, run, rows.map(({ split }) => split), rows.map(({ row }) => row)],
      },
    ],
    settled: ([span], { run }) =>
      span && {
        // They were settled together, so the first stands for all.
        text: `SELECT FROM ${schema}.span WHERE run = $1 AND split = $2 AND from_row = $3 AND rows = $4`,
        values: [run, span.split, span.from, span.rows],
      },
  };
}

/** The account that a load keeps. */
export const ledgerStatements = ledgerIn('sluice');

/** For a sink that was told to keep no account. */
export const noLedger: LedgerStatements = {
  fence: () => [],
  settle: () => [],
  settled: () => undefined,
  replayed: () => [],
};

/** No text of PostgreSQL's can hold NUL; a message that quotes one shows its symbol. */
function storable(text: string): string {
  return text.replaceAll('\0', '\u2400');
}
