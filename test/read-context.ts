import type { Problem, ReadContext } from '../src/contract/index.js';

/** What a source is handed when it is read alone, outside a load. Problems it reports are gathered in `problems`. */
export function readContext(signal: AbortSignal = new AbortController().signal): ReadContext & { problems: Problem[] } {
  const problems: Problem[] = [];
  const quiet = () => {};
  return {
    run: 'test',
    job: 'test',
    epoch: 0,
    signal,
    log: { debug: quiet, info: quiet, warn: quiet },
    problem: (problem) => problems.push(problem),
    problems,
  };
}
