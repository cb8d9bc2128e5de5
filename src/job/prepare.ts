import type { LoadOptions } from '../flow/options.js';
import { sinks, sources } from '../registry.js';
import type { Job } from './job.js';

/** What a job says of a load; the host adds its signals, log and run folder. */
export type PreparedJob = Pick<
  LoadOptions,
  | 'source'
  | 'sink'
  | 'columns'
  | 'workers'
  | 'maxWorkers'
  | 'batchRows'
  | 'batchTime'
  | 'limit'
  | 'maxErrors'
  | 'ignoreExtra'
  | 'verify'
>;

export interface PrepareOptions {
  /** Connections outlive the load for a minute, for the next load of this process, where the sink can do so. Default: false. */
  readonly keepConnections?: boolean;
}

/** Makes the parts of a checked job, ready to be handed to `load`, which disposes them. */
export async function prepare(job: Job, { keepConnections = false }: PrepareOptions = {}): Promise<PreparedJob> {
  const [source, sink] = await Promise.all([sources[job.source.name]!(), sinks[job.sink.name]!()]);
  return {
    source: source.create(job.source.options),
    sink: (keepConnections ? sink.createKeeping?.(job.sink.options) : undefined) ?? sink.create(job.sink.options),
    ...(job.columns !== undefined && { columns: job.columns }),
    ...(job.workers !== undefined && { workers: job.workers }),
    ...(job.maxWorkers !== undefined && { maxWorkers: job.maxWorkers }),
    ...(job.batchTime !== undefined && { batchTime: job.batchTime }),
    ...(job.batchSize !== undefined && { batchRows: job.batchSize }),
    ...(job.limit !== undefined && { limit: job.limit }),
    ...(job.maxErrors !== undefined && { maxErrors: job.maxErrors }),
    ...(job.verify !== undefined && { verify: job.verify }),
    ...(job.ignoreExtra !== undefined && { ignoreExtra: job.ignoreExtra }),
  };
}
