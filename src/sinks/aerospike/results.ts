/** What a result code of the server asks for, of one record or of a whole message. */
type Verdict = 'retry' | 'throttled' | 'reject' | 'fatal';

/** A result code, by the name its public clients know it by (aerospike-client-go: `types/result_code.go`). */
export interface Result {
  /** Stable; in rejects and errors. */
  readonly name: string;
  readonly verdict: Verdict;
  readonly meaning: string;
  /** What a person can do about it, where the name does not tell. */
  readonly remedy?: string;
}

const results: Readonly<Record<number, Result>> = {
  1: {
    name: 'server-error',
    verdict: 'reject',
    meaning: 'the server failed without saying why',
    remedy: 'Look into its log',
  },
  2: { name: 'not-found', verdict: 'reject', meaning: 'there is no record with this key, and none was to be made' },
  3: { name: 'generation-differs', verdict: 'reject', meaning: 'the record has another generation' },
  4: { name: 'parameter-error', verdict: 'reject', meaning: 'the server takes no such record' },
  5: { name: 'exists', verdict: 'reject', meaning: 'there is a record with this key already' },
  7: { name: 'cluster-changed', verdict: 'retry', meaning: 'the cluster has changed' },
  8: {
    name: 'out-of-space',
    verdict: 'throttled',
    meaning: 'the namespace takes no writes: its memory or disk is full (stop-writes)',
    remedy: 'Give it room, or raise its limits',
  },
  9: { name: 'server-timeout', verdict: 'retry', meaning: 'the server took too long' },
  10: { name: 'always-forbidden', verdict: 'fatal', meaning: 'the server is set up to refuse this' },
  11: {
    name: 'partition-unavailable',
    verdict: 'retry',
    meaning: 'no node has the partition of this key at the moment',
  },
  12: { name: 'bin-type-error', verdict: 'reject', meaning: 'a bin can not have a value of this type' },
  13: {
    name: 'record-too-big',
    verdict: 'reject',
    meaning: 'the record is larger than the namespace allows (max-record-size)',
  },
  14: { name: 'key-busy', verdict: 'retry', meaning: 'too many writes of one key at once' },
  16: { name: 'unsupported', verdict: 'fatal', meaning: 'the server can not do this' },
  18: { name: 'device-overload', verdict: 'throttled', meaning: 'the disk does not keep up with the writes' },
  19: { name: 'key-mismatch', verdict: 'reject', meaning: 'another key has the same digest' },
  20: { name: 'no-such-namespace', verdict: 'fatal', meaning: 'the server has no such namespace' },
  21: {
    name: 'bin-name-error',
    verdict: 'reject',
    meaning: 'the name of a bin is too long, or there are too many names',
  },
  22: {
    name: 'forbidden',
    verdict: 'fatal',
    meaning: 'the server refuses such a write at this time',
    remedy: 'A TTL needs nsup-period on the namespace; a set may have a limit of its own (stop-writes-count)',
  },
  25: { name: 'enterprise-only', verdict: 'fatal', meaning: 'only the Enterprise Edition can do this' },
  28: { name: 'lost-conflict', verdict: 'reject', meaning: 'a newer write came from another cluster' },
  66: { name: 'session-expired', verdict: 'retry', meaning: 'the session has expired' },
  80: { name: 'not-authenticated', verdict: 'fatal', meaning: 'the server wants a user and a password' },
  81: { name: 'no-permission', verdict: 'fatal', meaning: 'the user may not write here' },
  82: { name: 'not-whitelisted', verdict: 'fatal', meaning: 'the user may not come from this address' },
  83: { name: 'quota-exceeded', verdict: 'throttled', meaning: 'the user has written as much as its quota allows' },
  150: { name: 'batch-disabled', verdict: 'fatal', meaning: 'batches are switched off on the server' },
  151: {
    name: 'batch-too-large',
    verdict: 'fatal',
    meaning: 'a batch has more records than the server takes (batch-max-requests)',
    remedy: 'Give fewer rows a batch (--batch-size)',
  },
  152: { name: 'batch-queues-full', verdict: 'throttled', meaning: 'the server has no room for another batch' },
};

/** A code that is not known here is of the one record it came for: its reject tells the number. */
export function resultOf(code: number): Result {
  return (
    results[code] ?? { name: `result-${code}`, verdict: 'reject', meaning: `the server answered with result ${code}` }
  );
}

/** Codes by which a server refuses a login. */
export function refusesLogin(code: number): string {
  const known: Readonly<Record<number, string>> = {
    60: 'there is no such user',
    62: 'the password is wrong',
    63: 'the password has expired',
    64: 'the password is forbidden',
    65: 'the user or the password is wrong',
    82: 'the user may not come from this address',
  };
  return known[code] ?? `the login failed with result ${code}`;
}
