import { randomBytes } from 'node:crypto';

/** A name for a run: sorts by time, and is unique enough to name a folder. `20260131T120000-3f9a1c`. */
export function newRunName(at: Date): string {
  return `${at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}-${randomBytes(3).toString('hex')}`;
}
