/** Aborted when its time is over, which an abort of the run cuts short. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** Milliseconds from now; of them no more than `afterAbort` are left once `stopped` is aborted. */
export function deadline(ms: number, stopped: AbortSignal, afterAbort: number): Deadline {
  const over = new AbortController();
  const end = () => over.abort(new DOMException('it took too long', 'TimeoutError'));
  const timers = [setTimeout(end, ms)];
  const cut = () => void timers.push(setTimeout(end, afterAbort));
  if (stopped.aborted) cut();
  else stopped.addEventListener('abort', cut, { once: true });
  return {
    signal: over.signal,
    [Symbol.dispose]() {
      stopped.removeEventListener('abort', cut);
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
