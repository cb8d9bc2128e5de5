import * as z from 'zod';
import { ConfigError } from '../../errors.js';

const parameter = z.union([z.string(), z.number(), z.boolean()]);

const eventSchema = z
  .strictObject({
    job: z.string().min(1).optional(),
    parameters: z.record(z.string(), parameter).optional(),
    run: z.string().min(1).max(200).optional(),
    continue: z.string().min(1).optional(),
    idle: z.int().min(0).optional(),
  })
  .refine((event) => event.run === undefined || event.continue === undefined, {
    message: 'give either "run" or "continue"',
  });

/** What an invocation is asked to do. Everything may be left out. */
export interface LoadEvent {
  /** One of the handler's jobs by its name; not needed where it has only one. */
  readonly job?: string | undefined;
  /** Values for variables of the job that the function's environment does not set. */
  readonly parameters?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Name of the run: the first invocation with it starts the run, further ones go on with it, and do nothing once it is complete. */
  readonly run?: string | undefined;
  /** The run to go on with, as an earlier result named it. */
  readonly continue?: string | undefined;
  /** Invocations in a row that brought the run no further. Set by the handler. */
  readonly idle?: number | undefined;
}

/**
 * Reads an event: one of ours, nothing at all, or what EventBridge sends on a schedule when it is given no input.
 * @throws ConfigError `bad-event`.
 */
export function readEvent(event: unknown): LoadEvent {
  if (event === undefined || event === null || isScheduled(event)) return {};
  const read = eventSchema.safeParse(event);
  if (read.success) return read.data;
  throw new ConfigError(
    'bad-event',
    `the event is not understood; it may have job, parameters, and run or continue:\n${z.prettifyError(read.error)}`,
  );
}

/** As sent by a rule of EventBridge, and by EventBridge Scheduler. */
function isScheduled(event: unknown): boolean {
  const scheduled = z.looseObject({ 'detail-type': z.literal('Scheduled Event'), source: z.string() });
  return scheduled.safeParse(event).success;
}
