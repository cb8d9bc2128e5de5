import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { Predicted } from '../../contract/index.js';
import { makeFolder } from '../../make-folder.js';

/** What `sluice plan` said of a job last, for the report of its next runs. A file a job, where the ledger of this machine is. */
const folder = '.sluice/plans';

const amount = z.number().nonnegative();
const predictedSchema: z.ZodType<Predicted> = z.object({
  rows: amount,
  seconds: amount,
  least: amount,
  most: amount,
  workers: amount,
  at: z.string(),
});

/** Keeps it for the job of this name. */
export async function keepPrediction(job: string, predicted: Predicted): Promise<void> {
  await makeFolder(folder);
  await writeFile(join(folder, `${job}.json`), `${JSON.stringify(predicted)}\n`);
}

/** Undefined where none was kept, or what was kept can't be read: a run does without. */
export async function findPrediction(job: string): Promise<Predicted | undefined> {
  try {
    const kept: unknown = JSON.parse(await readFile(join(folder, `${job}.json`), 'utf8'));
    return predictedSchema.safeParse(kept).data;
  } catch {
    return undefined;
  }
}
