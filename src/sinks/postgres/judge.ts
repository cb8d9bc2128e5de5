import type { Batch, Cell, Refusal } from '../../contract/index.js';
import { type Encoder, missingKey, unstorable } from './encode.js';
import { type Answer, isServerError, sql } from './flight.js';
import { quoteIdentifier } from './quote.js';
import type { Statement, Target, TargetColumn } from './target.js';
import { surelyValid } from './valid.js';

/** A cell that no cheap check could clear. */
interface Suspect {
  readonly row: number;
  readonly column: TargetColumn;
  readonly text: string;
}

/** Sends statements as one flight, outside a transaction; the answers of those before an error come with it. */
type Ask = (statements: readonly Statement[]) => Promise<{ answers: readonly Answer[]; error?: Error }>;

/** Finds the rows of a failed batch that the database will not take, by their values alone. */
export interface Judge {
  /**
   * Adds the condemned rows to `rejects` and says how many it added. Values pass the database's own parser on the way;
   * the one that failed the batch is `failed`, a SQLSTATE.
   * @throws What `ask` threw.
   */
  condemn(batch: Batch, encoder: Encoder, rejects: Map<number, Refusal>, failed: string, ask: Ask): Promise<number>;
}

const rememberedValues = 10_000;
const rememberedLength = 100;

export function createJudge(target: Target): Judge {
  const checks = new Map(target.columns.map((column) => [column.name, surelyValid(column)]));
  /** Values the database has passed before, by column: enums and domains mostly repeat themselves. */
  const passed = new Map(target.columns.map((column) => [column.name, new Set<string>()]));

  function suspectsOf(batch: Batch, encoder: Encoder, rejects: Map<number, Refusal>, failed: string): Suspect[] {
    const suspects: Suspect[] = [];
    const { columns, texts } = encoder;
    const sure = columns.map((column) => checks.get(column.name)!);
    const known = columns.map((column) => passed.get(column.name)!);
    const cells: Cell[] = new Array(columns.length);
    for (let row = 0; row < batch.rows; row++) {
      if (rejects.has(row) || batch.duplicates.has(row)) continue;
      let refusal = batch.cells(row, cells) ?? missingKey(cells, encoder);
      const from = suspects.length;
      for (let i = 0; i < columns.length && refusal === undefined; i++) {
        const cell = cells[i];
        const column = columns[i]!;
        if (cell === null || cell === undefined) {
          // A trigger may fill nulls in: they are at fault only when the batch failed by one.
          if (failed === '23502') refusal = nullRefusal(cell, column);
          continue;
        }
        const text = batch.textual && typeof cell === 'string' ? cell : texts[i]!(cell);
        if (typeof text !== 'string') refusal = text;
        else if (!sure[i]!(text) && !known[i]!.has(text)) suspects.push({ row, column, text });
      }
      refusal ??= unstorableOf(suspects, from);
      if (refusal === undefined) continue;
      rejects.set(row, refusal);
      suspects.length = from;
    }
    return suspects;
  }

  function remember(suspects: readonly Suspect[], rejects: ReadonlyMap<number, Refusal>): void {
    for (const { row, column, text } of suspects) {
      const values = passed.get(column.name)!;
      if (text.length <= rememberedLength && values.size < rememberedValues && !rejects.has(row)) values.add(text);
    }
  }

  return {
    async condemn(batch, encoder, rejects, failed, ask) {
      const before = rejects.size;
      const suspects = suspectsOf(batch, encoder, rejects, failed);
      if (suspects.length > 0) {
        if (target.serverVersion >= 160000) await askAtOnce(suspects, rejects, ask);
        else await askOneByOne(suspects, rejects, ask, target);
        remember(suspects, rejects);
      }
      return rejects.size - before;
    },
  };
}

function nullRefusal(cell: null | undefined, column: TargetColumn): Refusal | undefined {
  if (!column.notNull || (cell === undefined && column.hasDefault)) return undefined;
  const reason = `column "${column.name}" is ${cell === null ? 'null' : 'missing'}, and the table has it NOT NULL`;
  return { code: '23502', reason, column: column.name };
}

/** A parameter can't carry these either. */
function unstorableOf(suspects: readonly Suspect[], from: number): Refusal | undefined {
  for (let i = from; i < suspects.length; i++) {
    const refusal = unstorable(suspects[i]!.text, suspects[i]!.column);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** All suspects in one query (16 and newer). */
async function askAtOnce(suspects: readonly Suspect[], rejects: Map<number, Refusal>, ask: Ask): Promise<void> {
  const { answers, error } = await ask([
    {
      text: `SELECT s.n, e.sql_error_code, e.message
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS s(value, type, n), LATERAL pg_input_error_info(s.value, s.type) AS e
WHERE e.sql_error_code IS NOT NULL ORDER BY s.n`,
      values: [suspects.map((suspect) => suspect.text), suspects.map((suspect) => suspect.column.type)],
    },
  ]);
  // Some type's parser raises instead of telling: then the batch is divided.
  if (error !== undefined) return;
  for (const [n, code, reason] of answers[0]?.rows ?? []) {
    const { row, column } = suspects[Number(n) - 1]!;
    if (!rejects.has(row))
      rejects.set(row, { code: code ?? '22000', reason: reason ?? 'not valid', column: column.name });
  }
}

/**
 * Before 16: each suspect is inserted into an empty temporary table, where a parameter has the column's own type. One
 * round trip goes up to the next value that fails.
 */
async function askOneByOne(
  suspects: readonly Suspect[],
  rejects: Map<number, Refusal>,
  ask: Ask,
  target: Target,
): Promise<void> {
  const table = 'pg_temp.sluice_judge';
  const opening = [
    sql('BEGIN'),
    sql(`CREATE TEMP TABLE ${table} ON COMMIT DROP AS SELECT * FROM ${target.quotedName} WITH NO DATA`),
    sql('SAVEPOINT sluice_judge'),
  ];
  const again = [sql('ROLLBACK TO SAVEPOINT sluice_judge')];
  let before = opening;
  let next = 0;
  for (;;) {
    while (next < suspects.length && rejects.has(suspects[next]!.row)) next++;
    const asked = suspects.slice(next);
    const inserts = asked.map(({ column, text }) => ({
      text: `INSERT INTO ${table} (${quoteIdentifier(column.name)}) VALUES ($1)`,
      values: [text],
    }));
    const { answers, error } = await ask([...before, ...inserts, sql('ROLLBACK')]);
    if (error === undefined) return;
    const failed = asked[answers.length - before.length];
    if (failed === undefined || !isServerError(error)) {
      await ask([sql('ROLLBACK')]);
      return;
    }
    rejects.set(failed.row, { code: error.code, reason: error.message, column: failed.column.name });
    next += answers.length - before.length + 1;
    before = again;
  }
}
