import { SluiceError } from '../errors.js';
import type { Tally } from '../telemetry/tally.js';
import type { Coverage } from './coverage.js';

/** Every record read is in one of the figures, and every row was settled once: undefined, or what a load is to fail with. */
export function reconcileFault(tally: Tally, coverage: Coverage): SluiceError | undefined {
  const { lost, doubled } = coverage.faults;
  if (lost === 0 && doubled === 0 && tally.reconciled) return undefined;
  const { read, written, unchanged, duplicate, rejectedInAll, skipped } = tally;
  const figures = `read ${read}, written ${written}, unchanged ${unchanged}, duplicate ${duplicate}, rejected ${rejectedInAll}, skipped ${skipped}, never settled ${lost}, settled twice ${doubled}`;
  return new SluiceError(
    'not-reconciled',
    `the figures do not add up (${figures}): this is a fault in Sluice, please report it`,
  );
}
