import type { Batch, Cell, Refusal } from '../../contract/index.js';
import { unstorable } from './copy-text.js';
import { type Encoder, missingKey } from './encode.js';
import { type Answer, sql } from './flight.js';
import { quoteLiteral } from './quote.js';
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
          // A trigger may fill nulls in: they are at fault only when the batch failed by one. What is missing may be there
          // already in modes that match rows by key.
          if (failed === '23502' && !(cell === undefined && encoder.key.length > 0))
            refusal = nullRefusal(cell, column);
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
        const told = target.serverVersion >= 160000 ? await askParsers(suspects, ask) : undefined;
        const found = told ?? (await askByAssignment(suspects, ask));
        if (found === undefined) return rejects.size - before;
        for (const { suspect, code, reason } of found.sort((a, b) => a.suspect - b.suspect)) {
          const { row, column } = suspects[suspect]!;
          if (!rejects.has(row)) rejects.set(row, { code, reason, column: column.name });
        }
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

/** What the database says of a suspect; nothing where it takes the value. */
interface Verdict {
  readonly suspect: number;
  readonly code: string;
  readonly reason: string;
}

/** All suspects in one query (16 and newer). Undefined when some type's parser raises instead of telling. */
async function askParsers(suspects: readonly Suspect[], ask: Ask): Promise<Verdict[] | undefined> {
  const { answers, error } = await ask([
    {
      text: `SELECT s.n, e.sql_error_code, e.message
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS s(value, type, n), LATERAL pg_input_error_info(s.value, s.type) AS e
WHERE e.sql_error_code IS NOT NULL`,
      values: [suspects.map((suspect) => suspect.text), suspects.map((suspect) => suspect.column.type)],
    },
  ]);
  return error === undefined ? verdicts(answers[0]) : undefined;
}

/**
 * Each suspect is assigned to a variable of its column's type, which checks lengths and domains as an INSERT would: a
 * function a column, called once, in one round trip for all. Undefined when that can't be done, as by a role that may
 * make nothing temporary: the batch is divided then.
 */
async function askByAssignment(suspects: readonly Suspect[], ask: Ask): Promise<Verdict[] | undefined> {
  const byColumn = new Map<TargetColumn, number[]>();
  for (const [index, { column }] of suspects.entries()) {
    const indexes = byColumn.get(column);
    if (indexes === undefined) byColumn.set(column, [index]);
    else indexes.push(index);
  }
  const statements = [sql('BEGIN')];
  for (const [column, indexes] of byColumn) {
    const name = `pg_temp.sluice_judge_${statements.length}`;
    statements.push(
      sql(`CREATE FUNCTION ${name}(numbers int[], texts text[]) RETURNS TABLE (n int, code text, reason text)
  LANGUAGE plpgsql AS ${quoteLiteral(judgeBody(column))}`),
    );
    const texts = indexes.map((index) => suspects[index]!.text);
    statements.push({ text: `SELECT * FROM ${name}($1, $2)`, values: [indexes.map((index) => index + 1), texts] });
  }
  const { answers, error } = await ask([...statements, sql('ROLLBACK')]);
  if (error !== undefined) {
    await ask([sql('ROLLBACK')]);
    return undefined;
  }
  return answers.flatMap(verdicts);
}

/** A variable of a composite type takes no text; such types have no length that a cast would cut to. */
function judgeBody({ type, category }: TargetColumn): string {
  const trial = category === 'C' ? `PERFORM given::${type};` : `DECLARE taken ${type} := given; BEGIN END;`;
  return `DECLARE given text;
BEGIN
  FOR n, given IN SELECT * FROM unnest(numbers, texts) LOOP
    BEGIN
      ${trial}
    EXCEPTION WHEN OTHERS THEN
      code := SQLSTATE;
      reason := SQLERRM;
      RETURN NEXT;
    END;
  END LOOP;
END`;
}

function verdicts(answer: Answer | undefined): Verdict[] {
  return (answer?.rows ?? []).map(([n, code, reason]) => ({
    suspect: Number(n) - 1,
    code: code ?? '22000',
    reason: reason ?? 'not valid',
  }));
}
