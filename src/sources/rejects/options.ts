import * as z from 'zod';

export const replayOptions = z
  .strictObject({
    run: z.string().min(1).describe('the run whose rejects are loaded again'),
    path: z
      .string()
      .min(1)
      .optional()
      .describe('its rejects.ndjson, or a mended copy; default: the rejects as the ledger keeps them'),
  })
  .describe('the rejects of an earlier run, for a replay');

export type ReplayOptions = z.input<typeof replayOptions>;
