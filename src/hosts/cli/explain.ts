import { messageOf } from '../../errors.js';

/** Causes beyond this many say nothing new. */
const deepest = 3;

/** An error for a person: its message, then briefly what caused it; no stack unless `debug`. */
export function explain(error: unknown, debug = false): string {
  const lines = [messageOf(error)];
  let seen = lines[0]!;
  for (const cause of causesOf(error).slice(0, deepest)) {
    const message = messageOf(cause);
    if (message === '' || seen.includes(message)) continue;
    seen += message;
    lines.push(`  because: ${message.replaceAll('\n', '\n  ')}`);
  }
  if (debug && error instanceof Error && error.stack) lines.push('', stackOf(error));
  return lines.join('\n');
}

/** The stack of an error and of what caused it. */
export function stackOf(error: unknown): string {
  const stacks = [error, ...causesOf(error)].map((one) => (one instanceof Error && one.stack) || messageOf(one));
  return stacks.join('\ncaused by: ');
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  let next: unknown = error instanceof Error ? error.cause : undefined;
  while (next !== undefined && !causes.includes(next)) {
    causes.push(next);
    next = next instanceof Error ? next.cause : undefined;
  }
  return causes;
}
