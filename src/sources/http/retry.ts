/** How often and how long; times in milliseconds. */
export interface RetryRules {
  readonly attempts: number;
  readonly firstPause: number;
  readonly longestPause: number;
}

/**
 * Milliseconds until the next try after `failures` failures: exponential backoff with full jitter
 * (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter). `random` is in [0, 1).
 */
export function backoff(failures: number, rules: RetryRules, random: number): number {
  return random * Math.min(rules.longestPause, rules.firstPause * 2 ** (failures - 1));
}

/** Milliseconds a Retry-After header asks for, as seconds or as an HTTP date (RFC 9110 section 10.2.3). */
export function retryAfter(header: string, now: number): number | undefined {
  const text = header.trim();
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
