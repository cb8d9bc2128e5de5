import { copyStatement, textOptions } from './copy.js';
import { merge, stage } from './merge.js';
import { askKeys, mergeCommand } from './merge-command.js';
import type { Target } from './target.js';

/**
 * What is executed for each batch, for a person to read: the same statements as are sent, around them BEGIN and COMMIT.
 * Of CSV (`textual`) the bytes themselves are sent, where fields and columns line up, by a COPY that says how they are written.
 */
export function describeWrite(target: Target, textual: boolean): string[] {
  const form = textual ? " -- or FORMAT csv, a file's own bytes" : '';
  const { columns, mode, quotedName } = target;
  if (mode === 'append') return [copyStatement(quotedName, columns, textOptions) + form];
  const staging = 'pg_temp.staging';
  return [
    ...stage(staging, columns, target).map((statement) => statement.text),
    copyStatement(staging, columns, textOptions) + form,
    ...moved(staging, target),
  ];
}

function moved(staging: string, target: Target): string[] {
  const { columns, mode, mergeable } = target;
  if (mode !== 'upsert' || !mergeable) return [merge(staging, columns, target).text];
  const command = mergeCommand(staging, columns, target, 0, { distinct: 0, range: undefined });
  return [askKeys(staging, target).text, command.text];
}
