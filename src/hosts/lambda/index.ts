import { SluiceError } from '../../errors.js';
import { keepHeapLean } from '../lean-heap.js';
import { Redactor } from '../redact.js';
import type { LambdaContext } from './context.js';
import { readEvent } from './event.js';
import { Invocation } from './invocation.js';
import { type Jobs, jobOf, preload } from './jobs.js';
import { type RunLog, runLog } from './log.js';
import { asQueueEvent, loadQueue, type QueueResult } from './queue.js';
import type { Result } from './result.js';
import { lambdaClient, selfInvoking } from './self.js';
import { told } from './told.js';

export type { LambdaContext } from './context.js';
export type { LoadEvent } from './event.js';
export type { JobDescription, Jobs, NamedJobs } from './jobs.js';
export type { QueueResult } from './queue.js';
export type { Continue, Done, Ended, Held, Result } from './result.js';

/** A handler for AWS Lambda's Node.js runtimes. It answers messages of a queue with those that are to stay there. */
export type Handler = (event: unknown, context: LambdaContext) => Promise<Result | QueueResult>;

export interface HandlerOptions {
  /**
   * How a load longer than an invocation goes on. `answer`: whoever invoked is answered with the event to invoke with next.
   * `self`: the function invokes itself with it, asynchronously; needs @aws-sdk/client-lambda, which Lambda's runtimes have,
   * and the permission to do so. Default: answer. Messages of a queue come again by themselves.
   */
  readonly goOn?: 'answer' | 'self';
}

/**
 * Makes a handler that loads a job, or one of several, each time it is invoked. It stops before the invocation's time is
 * over, with everything committed that was written, and answers with the event to go on with. Connections to PostgreSQL are
 * kept for the next invocation, and ended by the server after a minute. SLUICE_LOG=debug in the environment makes it say more.
 *
 * The handler throws what hinders a load, as an Error whose name is the stable code.
 */
export function createHandler(jobs: Jobs, { goOn = 'answer' }: HandlerOptions = {}): Handler {
  let before: Promise<unknown> = Promise.allSettled([preload(jobs), ...(goOn === 'self' ? [lambdaClient()] : [])]);

  async function loadOne(event: unknown, context: LambdaContext): Promise<Result> {
    const redactor = new Redactor();
    try {
      // The first waits for the code; what one had to leave behind ends, thawed, before another begins.
      await before;
      keepHeapLean();
      const asked = readEvent(event);
      const { name, job } = await jobOf(jobs, asked, process.env);
      redactor.learn(job);
      const log = logOf(redactor);
      const invocation = new Invocation(job, asked, name ?? context.functionName, context, log);
      try {
        return await invocation.run();
      } finally {
        before = invocation.ended;
      }
    } catch (error) {
      throw told(error, redactor);
    }
  }

  const loadAlone = goOn === 'self' ? selfInvoking(loadOne) : loadOne;

  async function loadAsked(event: unknown, context: LambdaContext): Promise<Result> {
    try {
      return await loadAlone(event, context);
    } catch (error) {
      throw error instanceof SluiceError ? told(error, new Redactor()) : error;
    }
  }

  return async (event, context) => {
    const queue = asQueueEvent(event);
    if (queue === undefined) return await loadAsked(event, context);
    return await loadQueue(
      queue,
      (asked) => loadOne(asked, context),
      (messageId, why) => logOf(new Redactor()).warn({ messageId, why }, 'the message stays in the queue'),
    );
  };
}

function logOf(redactor: Redactor): RunLog {
  return runLog((line) => process.stdout.write(line), redactor, process.env.SLUICE_LOG === 'debug');
}
