/**
 * Calls `beat` every so many milliseconds until disposed. Each has as long as there is until the next, then its signal is
 * aborted: one that meets a line gone silent must not be the last.
 */
export function startHeart(beat: (signal: AbortSignal) => Promise<void>, every: number): Disposable {
  let last: AbortController | undefined;
  const timer = setInterval(() => {
    last?.abort(new Error('the heartbeat was not answered in time'));
    last = new AbortController();
    void beat(last.signal);
  }, every);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      last?.abort(new Error('the run has ended'));
    },
  };
}
