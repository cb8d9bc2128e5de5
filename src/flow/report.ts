import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log, Report } from '../contract/index.js';

/** Puts the report into the run's folder. A disk that refuses it costs a warning, not the run: the rows are committed. */
export async function writeReport(report: Report, folder: string, log: Log): Promise<void> {
  try {
    await writeFile(join(folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  } catch (error) {
    log.warn({ error: String(error) }, 'the report could not be written to the run folder');
  }
}
