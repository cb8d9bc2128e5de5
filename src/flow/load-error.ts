import type { Report } from '../contract/index.js';
import { SluiceError } from '../errors.js';

/** A load that did not end well. `report` says how far it came. */
export class LoadError extends SluiceError {
  override readonly name = 'LoadError';
  readonly report: Report;
  constructor(code: string, message: string, report: Report, options?: ErrorOptions) {
    super(code, message, options);
    this.report = report;
  }
}
