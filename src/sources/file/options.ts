import * as z from 'zod';

/** One character that is one byte, and can't be mistaken for a line end. */
const oneByte = z.string().regex(/^[^\0\r\n\x80-\uffff]$/, 'must be one ASCII character, and no line end');

export const fileOptions = z
  .strictObject({
    path: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1).readonly()])
      .describe(
        'file, glob such as data/*.csv, or a list of them; s3://bucket/key and globs of keys too; - is standard input',
      ),
    format: z
      .enum(['csv', 'ndjson'])
      .optional()
      .describe('default: by the name: .csv, .tsv, .ndjson or .jsonl, with or without .gz after it'),
    gzip: z.boolean().optional().describe('the files are gzip; default: seen from their first bytes'),
    header: z
      .boolean()
      .optional()
      .describe('csv: the first record holds the field names; default: true, or false when fields are given'),
    fields: z.array(z.string().min(1)).min(1).readonly().optional().describe('csv: the field names, in file order'),
    delimiter: oneByte.optional().describe('csv: what stands between fields; default: a comma, in .tsv files a tab'),
    quote: oneByte.optional().describe('csv: what encloses fields; doubled within them; default: "'),
    null: z
      .string()
      .regex(/^[^\0\r\n]*$/, 'must not hold a line end')
      .optional()
      .describe('csv: an unquoted field that equals this is null; default: the empty field'),
  })
  .superRefine((options, context) => {
    const { delimiter, quote = '"', header, fields } = options;
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (header === false && !fields) refuse('header', 'a file without a header needs "fields" to name its fields');
    if (fields && new Set(fields).size < fields.length) refuse('fields', 'must name each field once');
    if (delimiter === quote) refuse('delimiter', 'must not be the quote');
    if (options.null?.includes(quote)) refuse('null', 'must not hold the quote');
    if (delimiter !== undefined && options.null?.includes(delimiter)) refuse('null', 'must not hold the delimiter');
  })
  .describe('records of files, of objects in S3 or of standard input: CSV or lines of JSON, plain or gzip');

export type FileOptions = z.input<typeof fileOptions>;
