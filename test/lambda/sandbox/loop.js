// @ts-check
/**
 * What a Lambda runtime does, no more: asks the Runtime API for the next event, hands it to the handler, posts what it
 * answers (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). _HANDLER is the path of the module whose `handler` is
 * called.
 */
import http from 'node:http';
import { pathToFileURL } from 'node:url';

const base = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<{ headers: http.IncomingHttpHeaders, text: string }>}
 */
function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${base}${path}`, { method, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece;
      });
      response.on('end', () => resolve({ headers: response.headers, text })).on('error', reject);
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** @param {unknown} error */
function told(error) {
  if (!(error instanceof Error)) return { errorType: 'Error', errorMessage: String(error), trace: [] };
  return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? '').split('\n') };
}

const { handler } = await import(pathToFileURL(process.env._HANDLER ?? '').href);
for (;;) {
  const { headers, text } = await call('GET', '/invocation/next');
  const awsRequestId = String(headers['lambda-runtime-aws-request-id']);
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const context = {
    awsRequestId,
    invokedFunctionArn: String(headers['lambda-runtime-invoked-function-arn']),
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
  try {
    const answer = await handler(JSON.parse(text), context);
    await call('POST', `/invocation/${awsRequestId}/response`, answer);
  } catch (error) {
    await call('POST', `/invocation/${awsRequestId}/error`, told(error));
  }
}
