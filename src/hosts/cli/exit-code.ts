import type { Report, RunStatus } from '../../contract/index.js';

/** What the command's exit code says; after DataStax Bulk Loader's, which scripts know. */
export const exitCodes = {
  complete: 0,
  completeWithRejects: 1,
  tooManyRejects: 2,
  failed: 3,
  interrupted: 4,
  crashed: 5,
} as const;

const ofStatus: Readonly<Record<RunStatus, number>> = {
  complete: exitCodes.complete,
  'complete-with-rejects': exitCodes.completeWithRejects,
  'too-many-rejects': exitCodes.tooManyRejects,
  incomplete: exitCodes.failed,
  failed: exitCodes.failed,
  interrupted: exitCodes.interrupted,
};

/** The exit code of a run that left a report. */
export function exitCode({ status, error }: Pick<Report, 'status' | 'error'>): number {
  // The engine's word for what was not thrown on purpose.
  return error?.code === 'unexpected' ? exitCodes.crashed : ofStatus[status];
}
