import * as z from 'zod';

export const postgresOptions = z
  .strictObject({
    url: z
      .string()
      .optional()
      .describe(
        'postgres://user:password@host:port/database?sslmode=...; what it leaves out comes from PGHOST and its like',
      ),
    iam: z
      .boolean()
      .default(false)
      .describe(
        'log in by tokens of AWS IAM instead of a password, made from the credentials of this process; needs @aws-sdk/rds-signer, and TLS',
      ),
    table: z.string().min(1).describe('table, or schema.table; quote odd names: "My Schema"."T"'),
    mode: z
      .enum(['append', 'upsert', 'ignore'])
      .default('append')
      .describe('append: insert all; upsert: insert or update by key; ignore: insert what is not there'),
    key: z.array(z.string()).default([]).describe('columns that tell rows apart; default: the primary key'),
    ledger: z
      .boolean()
      .default(true)
      .describe(
        'keep account of what is loaded in the schema sluice, in the same transactions; without it a load can not be resumed, and is no longer exactly once',
      ),
    create: z.boolean().default(false).describe('create the table from a sample when it does not exist'),
  })
  .describe('a table of a PostgreSQL server, 13 to 18');

export type PostgresOptions = z.input<typeof postgresOptions>;
