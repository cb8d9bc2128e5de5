import type { IncomingHttpHeaders } from 'undici/types/header.js';
import { SourceError } from '../../errors.js';
import { publicAddress } from './address.js';
import { retryAfter } from './retry.js';

/** A response, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

interface FailureOptions {
  readonly retryable: boolean;
  /** What a person can do about it. */
  readonly remedy: string;
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
  readonly subject?: string | undefined;
  /** What came instead, for the message. */
  readonly body?: Uint8Array | undefined;
}

/** One try of a request that did not give what was asked for. Its message is a predicate: `answered 503`. */
export class Failure extends Error {
  /** Stable; becomes the code of the SourceError when tries are used up. */
  readonly code: string;
  readonly retryable: boolean;
  /** Milliseconds the server asked to wait. */
  readonly retryAfter: number | undefined;
  readonly remedy: string;
  /** Who failed, when it is not the listing itself. */
  readonly subject: string | undefined;
  #body: string | undefined;
  constructor(code: string, message: string, options: FailureOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable;
    this.retryAfter = options.retryAfter;
    this.remedy = options.remedy;
    this.subject = options.subject;
    this.#body = options.body && startOf(options.body);
  }

  /** The message and the start of the body. Secrets are hidden before it is cut, so that no half of one is left over. */
  told(hide: (text: string) => string): string {
    if (this.#body === undefined) return hide(this.message);
    const shown = hide(this.#body);
    return `${hide(this.message)}: ${shown.length > 200 ? `${shown.slice(0, 200)}...` : shown}`;
  }

  /** The same, told about another server than the listing's. */
  about(subject: string, remedy: string): Failure {
    const { code, message, retryable, retryAfter, cause } = this;
    const failure = new Failure(code, message, { retryable, retryAfter, cause, subject, remedy });
    failure.#body = this.#body;
    return failure;
  }
}

/** Bodies of status 200 that are not what a listing gives: retried, and named to the user as problems of the API. */
export class UnreadableBody extends Failure {
  constructor(
    code: 'not-json' | 'truncated-body' | 'not-a-list',
    message: string,
    options: { readonly remedy: string; readonly body?: Uint8Array; readonly cause?: unknown },
  ) {
    super(code, message, { retryable: true, ...options });
  }
}

/** What is thrown when a request has failed for good. `unreadable` names the doctor's problem, if it is one. */
export class RequestError extends SourceError {
  readonly unreadable: boolean;
  constructor(failure: Failure, message: string) {
    super(failure.code, message, { cause: failure.cause });
    this.unreadable = failure instanceof UnreadableBody;
  }
}

/** The start of a body, on one line. */
function startOf(bytes: Uint8Array): string {
  if (bytes.length === 0) return '(empty)';
  return new TextDecoder().decode(bytes.subarray(0, 4_000)).replace(/\s+/g, ' ').trim();
}

export const cutRemedy = 'a proxy or the API ends answers early; smaller pages may help';

const unreachable = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

const untrusted = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** What an error of the connection means, by its code and by whether the response had begun. */
export function connectionFailure(error: unknown, begun: boolean): Failure {
  const code = codeOf(error);
  if (untrusted.has(code))
    return new Failure('untrusted-certificate', `shows a certificate that is not trusted (${code})`, {
      retryable: false,
      remedy: "give the issuer's certificate by NODE_EXTRA_CA_CERTS",
      cause: error,
    });
  if (code === 'UND_ERR_INVALID_ARG')
    return new Failure('bad-request', 'can not be asked as the options say', {
      retryable: false,
      remedy: 'check url and headers',
      cause: error,
    });
  if (begun)
    return new UnreadableBody('truncated-body', `broke off within the body (${code})`, {
      remedy: cutRemedy,
      cause: error,
    });
  return unreachable.has(code)
    ? new Failure('unreachable', `can not be reached (${code})`, {
        retryable: true,
        remedy: 'check the host and port of url, and that the server runs',
        cause: error,
      })
    : new Failure('connection-lost', `closed the connection without an answer (${code})`, {
        retryable: true,
        remedy: 'lower parallel if the API can not take so many requests at once',
        cause: error,
      });
}

function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code;
  return error instanceof Error ? error.name : 'unknown error';
}

/** What a status outside 2xx means. */
export function statusFailure(answer: Answer, authorized: boolean): Failure {
  const { status, headers } = answer;
  const retryHeader = headers['retry-after'];
  const wait = typeof retryHeader === 'string' ? retryAfter(retryHeader, Date.now()) : undefined;
  const location = status < 400 ? locationOf(answer) : undefined;
  return new Failure(`http-${status}`, `answered ${status}${location === undefined ? '' : ` (${location})`}`, {
    body: answer.bytes,
    retryable: status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505),
    retryAfter: wait,
    remedy: statusRemedy(status, authorized),
  });
}

/** Where a redirect leads, as it may be shown. */
function locationOf({ headers }: Answer): string | undefined {
  if (typeof headers.location !== 'string') return undefined;
  return URL.canParse(headers.location) ? publicAddress(new URL(headers.location)) : headers.location.split('?')[0];
}

function statusRemedy(status: number, authorized: boolean): string {
  if (status === 401 || status === 403)
    return authorized
      ? 'the credentials under auth (or in headers) are refused or lack the permission: check them'
      : 'give credentials: auth with bearer, basic or oauth2, or a header';
  if (status === 404) return 'check url';
  if (status === 405) return 'check method';
  if (status === 408 || status === 504) return 'ask for smaller pages';
  if (status === 429) return 'set rateLimit, or lower parallel';
  if (status >= 300 && status < 400) return 'set url to the address it redirects to';
  if (status >= 500) return 'the API fails; load again later, what was read stays good';
  return 'check url, headers, body and pagination against the documentation of the API';
}
