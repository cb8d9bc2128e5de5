import * as z from 'zod';
import { verifyLevels } from '../flow/verify.js';
import { isMaxErrors, type MaxErrors } from './max-errors.js';

const columnSpec = z.union([
  z.string().min(1).describe('path in the record, such as loc.coordinates[0]; $ is the record itself'),
  z.strictObject({
    from: z.string().min(1).optional().describe('path in the record, such as loc.coordinates[0]'),
    value: z.unknown().optional().describe('the same value for every record, instead of "from"'),
    default: z.unknown().optional().describe('taken when the record has no such field, or null there'),
    cast: z.enum(['text', 'json']).optional().describe('sent as text or as JSON text, whatever it was'),
  }),
]);

/** A source or sink by its name: `{ postgres: { ... } }`. Its options are checked by its own schema. */
const named = z.record(z.string(), z.unknown());

/** A job as it is written: in a file, on the command line, in an event. What `source` and `sink` hold is checked apart. */
export const jobSchema = z.strictObject({
  source: named.describe('where records come from: one of the sources with its options'),
  sink: named.describe('where records go: one of the sinks with its options'),
  columns: z
    .record(z.string().min(1), columnSpec)
    .optional()
    .describe('what goes into which column: a path in the record, or a mapping; default: names match names'),
  workers: z
    .int()
    .min(1)
    .optional()
    .describe('batches in flight, fixed; default: found while it runs, and never more than the server has free'),
  maxWorkers: z.int().min(1).optional().describe('most batches in flight, where their number is found; default: 64'),
  batchSize: z
    .int()
    .min(1)
    .optional()
    .describe('rows a batch at most; default: found while it runs, by bytes: 256 KiB to 8 MiB'),
  batchTime: z
    .number()
    .positive()
    .optional()
    .describe('seconds one batch is to take at most: none is made larger than that allows; default: 1'),
  limit: z.int().min(1).optional().describe('stop after this many records'),
  maxErrors: z
    .custom<MaxErrors>(isMaxErrors, 'expected a count such as 100, or a share between 0% and 100%, such as "1%"')
    .meta({
      anyOf: [
        { type: 'integer', minimum: 0 },
        { type: 'string', pattern: '^[0-9]+(\\.[0-9]+)?%$' },
      ],
    })
    .optional()
    .describe('rejects allowed: a count, or a share of the rows read so far such as 1%; default: 100'),
  ignoreExtra: z
    .boolean()
    .optional()
    .describe('drop fields the table has no column for; default: false, they are an error'),
  ledger: z
    .union([z.string().min(1), z.literal(false)])
    .optional()
    .describe(
      'folder of this machine that keeps account of what is loaded into a sink that does not do so itself, so that a run can be gone on with; false: none; default: .sluice/ledger',
    ),
  verify: z.enum(verifyLevels).optional().describe('what is read back and compared after the load; default: none'),
});

/** A source or sink as a job names it. The options have passed its schema. */
export interface Part {
  readonly name: string;
  readonly options: unknown;
}

/** What is to be loaded, from where, to where and how: checked, and the same whichever host runs it. */
export interface Job extends Omit<z.output<typeof jobSchema>, 'source' | 'sink'> {
  readonly source: Part;
  readonly sink: Part;
}
