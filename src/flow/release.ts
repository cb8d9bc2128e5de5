import type { Sink, Source } from '../contract/index.js';

/** Lets go of everything; each step runs whatever fails. Resolves to what failed. */
export async function release(
  reading: AsyncGenerator | undefined,
  source: Source | undefined,
  sink: Sink | undefined,
): Promise<readonly unknown[]> {
  const closed = await Promise.allSettled([
    reading?.return(undefined),
    (async () => source?.[Symbol.asyncDispose]())(),
    (async () => sink?.[Symbol.asyncDispose]())(),
  ]);
  return closed.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
}
