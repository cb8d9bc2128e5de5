import { SluiceError } from '../../errors.js';
import { exitCodes } from './exit-code.js';

/** How a user stops a run. Disposing it gives the signals back. */
export interface Interruption extends Disposable {
  /** The first SIGINT or SIGTERM: finish what was read. */
  readonly drain: AbortSignal;
  /** The second: stop at once. */
  readonly signal: AbortSignal;
}

/** Takes over SIGINT and SIGTERM, and says what each does. A third one ends the process as it is. */
export function watchSignals(say: (text: string) => void): Interruption {
  const drain = new AbortController();
  const abort = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (!drain.signal.aborted) {
      say(`${name}: reading no more and finishing what was read. Once more to stop at once.`);
      drain.abort(new SluiceError('interrupted', `stopped by ${name}`));
    } else if (!abort.signal.aborted) {
      say(`${name}: stopping at once. What was committed stays.`);
      abort.abort(new SluiceError('interrupted', `stopped at once by a second ${name}; what was committed stays`));
    } else {
      process.exit(exitCodes.interrupted);
    }
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    drain: drain.signal,
    signal: abort.signal,
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    },
  };
}

/**
 * For what has nothing to finish, only to tidy up: SIGINT or SIGTERM ends the work at once. A second one changes nothing, for npx
 * passes on what the terminal has sent already; a third ends the process as it is.
 */
export function stopAtOnce(say: (text: string) => void): Pick<Interruption, 'signal'> & Disposable {
  const abort = new AbortController();
  let signals = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    signals += 1;
    if (signals > 2) process.exit(exitCodes.interrupted);
    say(
      signals === 1
        ? `${name}: stopping, and dropping what was made to measure with.`
        : `${name}: still dropping it. Once more to leave it behind.`,
    );
    abort.abort(new SluiceError('interrupted', `stopped by ${name}`));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: abort.signal,
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    },
  };
}
