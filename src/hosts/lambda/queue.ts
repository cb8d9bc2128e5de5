import * as z from 'zod';
import { ConfigError, messageOf } from '../../errors.js';
import { type LoadEvent, readEvent } from './event.js';
import type { Result } from './result.js';

const queueSchema = z.object({
  Records: z
    .array(
      z.object({
        eventSource: z.literal('aws:sqs'),
        messageId: z.string(),
        body: z.string(),
        attributes: z.object({ MessageGroupId: z.string().optional() }).optional(),
      }),
    )
    .min(1),
});

/** Messages of an SQS queue, as Lambda hands them over. */
export type QueueEvent = z.output<typeof queueSchema>;

/** Tells Lambda which messages to leave in the queue (its ReportBatchItemFailures). */
export interface QueueResult {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

export function asQueueEvent(event: unknown): QueueEvent | undefined {
  return queueSchema.safeParse(event).data;
}

/**
 * Loads what each message asks for, one after another; `load` runs one event, and `failed` is told why a message stays. A
 * message names its run, so that one delivered again goes on where it stood, and does nothing once it is complete. From the
 * first that could not be completed on, those behind it stay too: the time is over, or their order counts.
 */
export async function loadQueue(
  { Records }: QueueEvent,
  load: (event: LoadEvent) => Promise<Result>,
  failed: (messageId: string, why: string) => void,
): Promise<QueueResult> {
  const left: { itemIdentifier: string }[] = [];
  let over = false;
  for (const { messageId, body, attributes } of Records) {
    if (!over) {
      try {
        const result = await load(eventOf(body, messageId));
        if (result.status !== 'continue' && result.status !== 'held') continue;
        failed(messageId, result.status);
        over = result.status === 'continue';
      } catch (error) {
        failed(messageId, messageOf(error));
      }
      over ||= attributes?.MessageGroupId !== undefined;
    }
    left.push({ itemIdentifier: messageId });
  }
  return { batchItemFailures: left };
}

function eventOf(body: string, messageId: string): LoadEvent {
  const event = readEvent(parsed(body));
  return event.run === undefined && event.continue === undefined ? { ...event, run: `sqs-${messageId}` } : event;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new ConfigError('bad-event', 'the body of the message is not JSON', { cause });
  }
}
