import * as z from 'zod';

/** How a value is to be read before it is written. */
const valueTypes = ['auto', 'integer', 'double', 'string', 'boolean', 'bytes', 'json'] as const;
const keyTypes = ['auto', 'integer', 'string', 'bytes'] as const;

const valueType = z.enum(valueTypes);

export const aerospikeOptions = z
  .strictObject({
    url: z
      .string()
      .describe(
        'aerospike://user:password@host:3000,host2:3000/namespace/set; what it leaves out of user and password comes from AEROSPIKE_USER and AEROSPIKE_PASSWORD',
      ),
    key: z.string().min(1).describe('column whose value is the key of a record'),
    keyType: z
      .enum(keyTypes)
      .default('auto')
      .describe(
        'what keys are: integer, string or bytes (in text: base64); auto: as the record has them, so text from CSV',
      ),
    bins: z
      .union([z.array(z.string().min(1)), z.record(z.string().min(1), valueType)])
      .optional()
      .describe(
        'columns that become bins, and what their values are read as (integer, double, string, boolean, bytes, json, auto); default: all but the key, each value as it is',
      ),
    mode: z
      .enum(['update', 'replace', 'create-only', 'update-only'])
      .default('update')
      .describe(
        'update: make the record or change these bins of it; replace: make it or put it wholly in the place of what is there; create-only: only where there is none; update-only: only where there is one',
      ),
    ttl: z
      .union([z.int().min(1).max(315_360_000), z.enum(['never', 'keep', 'default'])])
      .default('default')
      .describe('seconds until a record expires; never; keep: as it was; default: as the namespace has it'),
    generation: z
      .string()
      .min(1)
      .optional()
      .describe('column with the generation a record must have to be written, as it was read; others are rejected'),
    generationCheck: z
      .enum(['equal', 'newer'])
      .default('equal')
      .describe('equal: the generation must be that one; newer: that one must be the greater, as for a backup'),
    durableDelete: z
      .boolean()
      .default(false)
      .describe('a record that loses its last bin leaves a tombstone (Enterprise Edition only)'),
    sendKey: z.boolean().default(false).describe('store the key itself with the record, not its digest alone'),
    tls: z
      .union([
        z.boolean(),
        z.strictObject({
          ca: z.string().optional().describe('file with the certificates to trust; default: those of Node.js'),
          cert: z.string().optional().describe('file with our own certificate'),
          key: z.string().optional().describe('file with its key'),
        }),
      ])
      .default(false)
      .describe('speak TLS with the nodes; the name in their certificate may stand in the address: host:name:4333'),
    alternate: z
      .boolean()
      .default(false)
      .describe('reach the nodes by their alternate addresses, such as those from outside their network'),
    timeout: z
      .number()
      .min(0.1)
      .max(600)
      .default(5)
      .describe('seconds a node may be silent before what it was asked is given up and tried again'),
    connectTimeout: z.number().min(0.1).max(600).default(10).describe('seconds to find the cluster ready at the start'),
  })
  .describe('a set of an Aerospike cluster');

export type AerospikeOptions = z.input<typeof aerospikeOptions>;
/** With their defaults. */
export type Settings = z.output<typeof aerospikeOptions>;
export type ValueType = (typeof valueTypes)[number];
export type KeyType = (typeof keyTypes)[number];
