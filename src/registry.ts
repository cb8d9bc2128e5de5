import type * as z from 'zod';
import type { Ledger, Scratch, Sink, Source } from './contract/index.js';

/** How a host makes a part out of a job's words: validate with `options`, then `create`. */
export interface Component<Part> {
  readonly options: z.ZodType;
  /** @throws ZodError when the options were not validated before. */
  create(options: unknown): Part;
}

/** A sink, and who keeps account of what is loaded into it. */
export interface SinkComponent extends Component<Sink> {
  /** It can keep the account itself, in the target. For the others a host keeps it, in a folder of the machine. */
  readonly keepsLedger: boolean;
  /** As `create`; what it takes to reach the target outlives the sink for a while, for the next one made so in this process. */
  createKeeping?(options: unknown): Sink;
  /** Makes room beside the target to try how fast it takes records, where the sink can. @throws as `create`, and SinkError. */
  scratch?(options: unknown, signal: AbortSignal): Promise<Scratch>;
}

function component<Schema extends z.ZodType, Part>(
  options: Schema,
  create: (options: z.output<Schema>) => Part,
): Component<Part> {
  return { options, create: (given) => create(options.parse(given)) };
}

/** Every source by name, loaded when asked for. */
export const sources: Readonly<Record<string, () => Promise<Component<Source>>>> = {
  file: async () => {
    const { file, fileOptions } = await import('./sources/file/index.js');
    return component(fileOptions, file);
  },
  http: async () => {
    const { http, httpOptions } = await import('./sources/http/index.js');
    return component(httpOptions, http);
  },
  rejects: async () => {
    const { replay, replayOptions } = await import('./sources/rejects/index.js');
    return component(replayOptions, replay);
  },
};

/** Every sink by name, loaded when asked for. */
export const sinks: Readonly<Record<string, () => Promise<SinkComponent>>> = {
  aerospike: async () => {
    const { aerospike, aerospikeOptions } = await import('./sinks/aerospike/index.js');
    return { ...component(aerospikeOptions, aerospike), keepsLedger: false };
  },
  postgres: async () => {
    const { postgres, postgresKeeping, postgresOptions, postgresScratch } = await import('./sinks/postgres/index.js');
    return {
      ...component(postgresOptions, postgres),
      keepsLedger: true,
      createKeeping: (options) => postgresKeeping(postgresOptions.parse(options)),
      scratch: (options, signal) => postgresScratch(postgresOptions.parse(options), signal),
    };
  },
};

type OpenLedger = (address: string, options?: { readonly iam?: boolean }) => Ledger & AsyncDisposable;

/** Ledgers that can be looked into without a load, by the scheme of their address, loaded when asked for. */
export const ledgers: Readonly<Record<string, () => Promise<OpenLedger>>> = {
  postgres: async () => (await import('./sinks/postgres/index.js')).postgresLedger,
  postgresql: async () => (await import('./sinks/postgres/index.js')).postgresLedger,
};
