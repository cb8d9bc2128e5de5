import jsonata from 'jsonata';
import * as z from 'zod';
import type { Invoked } from './lambda.js';

const expression = z.string().regex(/^\{% .* %\}$/);

const stateSchema = z.discriminatedUnion('Type', [
  z.object({ Type: z.literal('Pass'), Output: z.object({ next: expression }), Next: z.string() }),
  z.object({
    Type: z.literal('Task'),
    Resource: z.literal('arn:aws:states:::lambda:invoke'),
    Arguments: z.object({ FunctionName: z.string(), Payload: expression }),
    Output: expression,
    Retry: z.array(z.object({ ErrorEquals: z.array(z.string()) })),
    Next: z.string(),
  }),
  z.object({
    Type: z.literal('Choice'),
    Choices: z.array(z.object({ Condition: expression, Next: z.string() })),
    Default: z.string(),
  }),
  z.object({ Type: z.literal('Wait'), Seconds: z.number(), Next: z.string() }),
  z.object({ Type: z.literal('Succeed') }),
]);

const machineSchema = z.object({
  QueryLanguage: z.literal('JSONata'),
  StartAt: z.string(),
  States: z.record(z.string(), stateSchema),
});

async function evaluate(text: string, states: object): Promise<unknown> {
  // What jsonata makes is no plain JSON: its lists carry marks.
  return JSON.parse(JSON.stringify(await jsonata(text.slice(2, -2)).evaluate(undefined, { states })) ?? 'null');
}

/**
 * Runs a definition as Step Functions would, as far as ours goes: its own expressions decide. A death is what Lambda calls
 * Lambda.Unknown; pauses are passed over. Resolves to the last state's input.
 */
export async function execute(
  definition: string,
  name: string,
  event: unknown,
  invoke: (payload: unknown) => Promise<Invoked>,
): Promise<unknown> {
  const { StartAt, States } = machineSchema.parse(JSON.parse(definition));
  const context = { Execution: { Name: name } };
  let input = event;
  for (let at = StartAt; ; ) {
    const state = States[at];
    if (state === undefined) throw new Error(`there is no state ${at}`);
    if (state.Type === 'Succeed') return input;
    if (state.Type === 'Pass') input = { next: await evaluate(state.Output.next, { input, context }) };
    if (state.Type === 'Task') {
      const payload = await evaluate(state.Arguments.Payload, { input, context });
      const invoked = await invoke(payload);
      if (invoked.kind !== 'answer') {
        const code = invoked.kind === 'killed' ? 'Lambda.Unknown' : invoked.type;
        if (state.Retry.some(({ ErrorEquals }) => ErrorEquals.includes(code))) continue;
        throw new Error(`the execution failed: ${code}`);
      }
      input = await evaluate(state.Output, { input, context, result: { Payload: invoked.value } });
    }
    at = state.Type === 'Choice' ? await choose(state, input, context) : state.Next;
  }
}

async function choose(
  { Choices, Default }: { Choices: readonly { Condition: string; Next: string }[]; Default: string },
  input: unknown,
  context: object,
): Promise<string> {
  for (const { Condition, Next } of Choices) if (await evaluate(Condition, { input, context })) return Next;
  return Default;
}
