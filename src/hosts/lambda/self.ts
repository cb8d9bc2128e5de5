import { setTimeout as sleep } from 'node:timers/promises';
import { awsSdk } from '../../aws-sdk.js';
import { messageOf, SluiceError } from '../../errors.js';
import type { LambdaContext } from './context.js';
import type { LoadEvent } from './event.js';
import type { Result } from './result.js';

/** Milliseconds kept back for invoking the function again: a small one takes a while for a TLS connection. */
const reserve = 2_000;
/** Milliseconds after which a holder that is dead is one no more. */
const holderLease = 15_500;

type Load = (event: unknown, context: LambdaContext) => Promise<Result>;
type Invoke = (context: LambdaContext, event: LoadEvent) => Promise<void>;

/**
 * Loads, and where the time is over first, invokes the function itself with what is to be gone on with. Lambda may deliver
 * such an event twice; then the run is held by the one, and the other waits long enough to know that it lives, and leaves.
 */
export function selfInvoking(
  load: Load,
  invoke: Invoke = invokeSelf,
  pause: (ms: number) => Promise<unknown> = sleep,
): Load {
  return async (event, context) => {
    const kept = Math.min(reserve, Math.floor(context.getRemainingTimeInMillis() / 4));
    const left = () => context.getRemainingTimeInMillis() - kept;
    const shorter: LambdaContext = { ...named(context), getRemainingTimeInMillis: left };
    let result = await load(event, shorter);
    if (result.status === 'held' && result.next.continue !== undefined) {
      if (left() < 2 * holderLease) {
        throw new SluiceError(
          'job-held',
          `${result.message}; nothing was written, and the invocation is to be tried again`,
        );
      }
      await pause(holderLease);
      result = await load(result.next, shorter);
    }
    if (result.status === 'continue') await invoke(context, result.next);
    return result;
  };
}

function named({ awsRequestId, functionName }: LambdaContext): Omit<LambdaContext, 'getRemainingTimeInMillis'> {
  return { awsRequestId, functionName };
}

/** Asks Lambda to invoke the function asynchronously. @throws ConfigError `no-aws-sdk`; SluiceError `not-invoked`. */
async function invokeSelf(context: LambdaContext, event: LoadEvent): Promise<void> {
  const { LambdaClient, InvokeCommand } = await lambdaClient();
  const client = new LambdaClient({});
  // The alias or version that was invoked, not whichever is the latest.
  const FunctionName = context.invokedFunctionArn ?? context.functionName;
  try {
    await client.send(new InvokeCommand({ FunctionName, InvocationType: 'Event', Payload: JSON.stringify(event) }), {
      abortSignal: AbortSignal.timeout(Math.max(0, context.getRemainingTimeInMillis() - 100)),
    });
  } catch (cause) {
    const advice =
      'give its role lambda:InvokeFunction for itself, and, within a VPC, a way to the API of Lambda. What was written is committed: the next invocation goes on';
    throw new SluiceError('not-invoked', `the function could not invoke itself (${messageOf(cause)}): ${advice}`, {
      cause,
    });
  } finally {
    client.destroy();
  }
}

/** Its code is loaded while the function starts, when the processor costs nothing. */
export function lambdaClient(): Promise<typeof import('@aws-sdk/client-lambda')> {
  const name = '@aws-sdk/client-lambda';
  return awsSdk(name, 'the function is to invoke itself', () => import('@aws-sdk/client-lambda'));
}
