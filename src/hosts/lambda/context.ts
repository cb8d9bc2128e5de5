/** What is used of the context that Lambda gives to a handler. */
export interface LambdaContext {
  readonly awsRequestId: string;
  readonly functionName: string;
  /** With the alias or version that was asked for. */
  readonly invokedFunctionArn?: string;
  getRemainingTimeInMillis(): number;
}
