import { messageOf, SluiceError } from '../../errors.js';
import type { Redactor } from '../redact.js';

/** An error as Lambda and Step Functions are to show it, which is by its name and message: the stable code, and no secrets. */
export function told(error: unknown, redactor: Redactor): Error {
  const shown = new Error(redactor.clean(messageOf(error)));
  shown.name = error instanceof SluiceError ? error.code : 'unexpected';
  const frames = error instanceof Error ? /\n {4}at [\s\S]*/.exec(error.stack ?? '')?.[0] : undefined;
  shown.stack = `${shown.name}: ${shown.message}${frames ?? ''}`;
  return shown;
}
