import { Agent } from 'undici';
import type { Log } from '../../contract/index.js';
import { pause } from '../../pause.js';
import { hider, isSecretName, publicAddress, secretsIn } from './address.js';
import { type Authorization, authorization, basicHeader } from './authorization.js';
import { unpack } from './encoding.js';
import { type Answer, connectionFailure, Failure, RequestError, statusFailure } from './failure.js';
import type { HttpSettings } from './options.js';
import { Pace } from './pace.js';
import { backoff, type RetryRules } from './retry.js';

/** One request of the listing. */
export interface Ask {
  readonly url: URL;
  /** JSON text. */
  readonly body: string | undefined;
  /** Which part of the listing it is, for people: `page 7`. */
  readonly label: string;
}

/** Where a request belongs: abandoned by the signal, its retries told to the log. */
export interface Errand {
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Tries, when not as the options say. */
  readonly attempts?: number;
}

/** Sends requests: authorized, paced, each try within its time, tried again by the rules. */
export class Client implements AsyncDisposable {
  readonly #agent: Agent;
  readonly #settings: HttpSettings;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #rules: RetryRules;
  readonly #pace: Pace;
  readonly #authorization: Authorization;
  readonly #authorized: boolean;
  readonly #knownSecrets: readonly string[];

  constructor(settings: HttpSettings) {
    this.#settings = settings;
    this.#agent = new Agent({
      connections: settings.parallel,
      // Each try has one deadline for all of it, set below.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: settings.timeout * 1000 },
    });
    const { attempts, firstPause, longestPause } = settings.retries;
    this.#rules = { attempts, firstPause: firstPause * 1000, longestPause: longestPause * 1000 };
    this.#pace = new Pace(settings.rateLimit);

    const url = new URL(settings.url);
    const given = Object.fromEntries(
      Object.entries(settings.headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
    if (url.username !== '' || url.password !== '')
      given.authorization ??= basicHeader(decodeURIComponent(url.username), decodeURIComponent(url.password));
    if (settings.method === 'POST') given['content-type'] ??= 'application/json';
    this.#headers = { accept: 'application/json', 'accept-encoding': 'gzip', ...given };
    this.#authorization = authorization(settings.auth, async (tokenUrl, headers, form, signal) => {
      try {
        const answer = await this.#once(tokenUrl, 'POST', headers, form, signal);
        if (answer.status < 300) return answer;
        throw statusFailure(answer, true);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        throw error.about(`the token endpoint ${publicAddress(tokenUrl)}`, 'check auth.oauth2');
      }
    });
    this.#authorized = settings.auth !== undefined || Object.keys(given).some(isSecretName);
    this.#knownSecrets = [
      ...(url.password === '' ? [] : [decodeURIComponent(url.password), url.password]),
      ...[...url.searchParams].filter(([name]) => isSecretName(name)).map(([, value]) => value),
      ...secretsIn(settings.body),
      ...Object.entries(given)
        .filter(([name]) => isSecretName(name))
        .flatMap(([, value]) => [value, value.replace(/^\S+\s+/, '')]),
    ];
  }

  /**
   * Sends, and hands the answer to `read`, which may refuse it with a Failure.
   * Gives back what it read, and the unreadable bodies that came before it.
   * @throws RequestError when tries are used up or would not help; the signal's reason when aborted.
   */
  async send<T>(
    ask: Ask,
    errand: Errand,
    read: (answer: Answer) => T,
  ): Promise<{ readonly value: T; readonly failures: readonly Failure[] }> {
    const attempts = errand.attempts ?? this.#rules.attempts;
    const failures: Failure[] = [];
    let renewed = false;
    for (;;) {
      try {
        const header = await this.#authorization.header(errand.signal);
        const headers = header === undefined ? this.#headers : { ...this.#headers, authorization: header };
        const start = performance.now();
        const answer = await this.#once(ask.url, this.#settings.method, headers, ask.body, errand.signal);
        if (answer.status === 401 && !renewed && this.#authorization.renew(header)) {
          renewed = true;
          continue;
        }
        if (answer.status >= 300) throw statusFailure(answer, this.#authorized);
        const value = read(answer);
        const ms = Math.round(performance.now() - start);
        errand.log.debug({ status: answer.status, bytes: answer.bytes.length, ms }, `${ask.label} came`);
        return { value, failures };
      } catch (error) {
        errand.signal.throwIfAborted();
        if (!(error instanceof Failure)) throw error;
        failures.push(error);
        const wait = Math.max(error.retryAfter ?? 0, backoff(failures.length, this.#rules, Math.random()));
        if (!error.retryable || failures.length >= attempts || wait > this.#rules.longestPause)
          throw new RequestError(error, this.#account(ask, error, failures.length));
        errand.log.warn(
          { code: error.code, try: failures.length, of: attempts, waitMs: Math.round(wait) },
          `${ask.label} ${this.told(error)}; trying again`,
        );
        if (error.retryAfter !== undefined) this.#pace.hold(error.retryAfter);
        await pause(wait, errand.signal);
      }
    }
  }

  /** Ends whatever is still in flight, and closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  #account(ask: Ask, failure: Failure, tries: number): string {
    const subject = failure.subject ?? `${this.#settings.method} ${publicAddress(ask.url)}, ${ask.label},`;
    const wait = failure.retryAfter ?? 0;
    const long = failure.retryable && wait > this.#rules.longestPause;
    const tried = tries > 1 ? ` (tried ${tries} times)` : '';
    const remedy = long
      ? `it asks to wait ${Math.ceil(wait / 1000)} s: load again then, or raise retries.longestPause`
      : failure.remedy;
    return `${subject} ${this.told(failure)}${tried}; ${remedy}`;
  }

  /** What a failure says, without any secret that is in use. */
  told(failure: Failure): string {
    return failure.told(hider([...this.#knownSecrets, ...this.#authorization.secrets()]));
  }

  /** One try: paced, within its time, the body read to its end. */
  async #once(
    url: URL,
    method: 'GET' | 'POST',
    headers: Readonly<Record<string, string>>,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    await this.#pace.turn(signal);
    const deadline = new AbortController();
    const onAbort = () => deadline.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(() => deadline.abort(), this.#settings.timeout * 1000);
    let begun = false;
    try {
      const response = await this.#agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers,
        body: body ?? null,
        signal: deadline.signal,
      });
      begun = true;
      const packed = Buffer.from(await response.body.arrayBuffer());
      const bytes = await unpack(packed, response.headers['content-encoding']);
      return { status: response.statusCode, headers: response.headers, bytes };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Failure) throw error;
      if (!deadline.signal.aborted) throw connectionFailure(error, begun);
      throw new Failure('timeout', `gave no whole answer within ${this.#settings.timeout} s`, {
        retryable: true,
        remedy: 'raise timeout, or ask for smaller pages',
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }
}
