import { copyStatement, textOptions } from './copy.js';
import { merge, stage } from './merge.js';
import type { Target } from './target.js';

/** What is executed for each batch, for a person to read: the same statements as are sent, around them BEGIN and COMMIT. */
export function describeWrite(target: Target): string[] {
  const { columns, mode, quotedName } = target;
  if (mode === 'append') return [copyStatement(quotedName, columns, textOptions)];
  const staging = 'pg_temp.staging';
  return [
    ...stage(staging, columns, target).map((statement) => statement.text),
    copyStatement(staging, columns, textOptions),
    merge(staging, columns, target).text,
  ];
}
