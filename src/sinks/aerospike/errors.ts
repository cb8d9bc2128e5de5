import type { FailureClass } from '../../contract/index.js';
import { ConfigError, causesOf, SinkError } from '../../errors.js';
import { type Result, resultOf } from './results.js';

/** Codes of the system, of Node.js and of our own. What the server told has the names of its results. */
const byCode: Readonly<Record<string, FailureClass>> = {
  ECONNRESET: 'retry',
  ECONNREFUSED: 'retry',
  ECONNABORTED: 'retry',
  EPIPE: 'retry',
  ETIMEDOUT: 'retry',
  EHOSTUNREACH: 'retry',
  ENETUNREACH: 'retry',
  ENETDOWN: 'retry',
  EHOSTDOWN: 'retry',
  ENOTCONN: 'retry',
  ENOTFOUND: 'retry',
  EAI_AGAIN: 'retry',
  // This process has no file descriptor left for another connection.
  EMFILE: 'throttled',
  ENFILE: 'throttled',
  EADDRNOTAVAIL: 'throttled',
  'connection-lost': 'retry',
  'connect-timeout': 'retry',
  'node-timeout': 'retry',
  'protocol-fault': 'retry',
};

const classes: Readonly<Record<string, FailureClass>> = {
  ...byCode,
  ...Object.fromEntries(
    Array.from({ length: 256 }, (_, code): [string, FailureClass] => [resultOf(code).name, classOf(resultOf(code))]),
  ),
};

function classOf({ verdict }: Result): FailureClass {
  return verdict === 'reject' ? 'fatal' : verdict;
}

/**
 * What a failed write asks for, by the first code along `cause` that says anything. In doubt is no reason to stop: a set
 * that is written again is the same set.
 */
export function classify(error: unknown): FailureClass {
  for (const link of causesOf(error)) {
    if (link instanceof ConfigError || link instanceof SinkError) return 'fatal';
    const code = 'code' in link ? link.code : undefined;
    if (typeof code === 'string' && Object.hasOwn(classes, code)) return classes[code]!;
  }
  return 'fatal';
}

const order: readonly FailureClass[] = ['retry', 'throttled', 'divide', 'fatal'];

/** The higher, the less there is to hope for. */
export function severityOf(code: string): number {
  return order.indexOf(classes[code] ?? 'fatal');
}
