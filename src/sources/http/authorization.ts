import * as z from 'zod';
import { parseJson } from '../../formats/json.js';
import { type Answer, Failure } from './failure.js';
import type { HttpSettings } from './options.js';

/** What goes into the Authorization header. */
export interface Authorization {
  header(signal: AbortSignal): Promise<string | undefined>;
  /** Called when the API answered 401 to this header; true when the next header will be another one. */
  renew(refused: string | undefined): boolean;
  /** What must not appear in any message. */
  secrets(): Iterable<string>;
}

/** Sends a form to the token endpoint, with tries as for any request. Resolves only for 2xx. */
export type SendForm = (
  url: URL,
  headers: Readonly<Record<string, string>>,
  form: string,
  signal: AbortSignal,
) => Promise<Answer>;

type Auth = NonNullable<HttpSettings['auth']>;

export function basicHeader(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

export function authorization(auth: Auth | undefined, send: SendForm): Authorization {
  if (auth?.oauth2) return new ClientCredentials(auth.oauth2, send);
  if (auth?.bearer) return fixed(`Bearer ${auth.bearer}`, [auth.bearer]);
  if (auth?.basic) {
    const header = basicHeader(auth.basic.user, auth.basic.password);
    return fixed(header, [header.slice('Basic '.length), auth.basic.password]);
  }
  return fixed(undefined, []);
}

function fixed(header: string | undefined, secrets: readonly string[]): Authorization {
  return { header: async () => header, renew: () => false, secrets: () => secrets };
}

const tokenAnswer = z.object({
  access_token: z.string().min(1),
  expires_in: z.coerce.number().positive().optional(),
});

/** OAuth 2.0 client credentials (RFC 6749 section 4.4): one token for all requests, renewed shortly before it expires. */
class ClientCredentials implements Authorization {
  readonly #options: NonNullable<Auth['oauth2']>;
  readonly #send: SendForm;
  #header: Promise<string> | undefined;
  #current: string | undefined;
  #renewAt = Number.POSITIVE_INFINITY;
  readonly #secrets = new Set<string>();

  constructor(options: NonNullable<Auth['oauth2']>, send: SendForm) {
    this.#options = options;
    this.#send = send;
    this.#secrets.add(options.clientSecret);
  }

  async header(signal: AbortSignal): Promise<string> {
    if (performance.now() >= this.#renewAt) this.#forget();
    // Requests in flight together wait for one token.
    this.#header ??= this.#fetch(signal).catch((error: unknown) => {
      this.#forget();
      throw error;
    });
    return this.#header;
  }

  renew(refused: string | undefined): boolean {
    // A slower request may be told 401 about a token that was replaced already.
    if (refused === this.#current) this.#forget();
    return true;
  }

  secrets(): Iterable<string> {
    return this.#secrets;
  }

  #forget(): void {
    this.#header = undefined;
    this.#current = undefined;
    this.#renewAt = Number.POSITIVE_INFINITY;
  }

  async #fetch(signal: AbortSignal): Promise<string> {
    const { tokenUrl, clientId, clientSecret, scope, audience, credentials } = this.#options;
    const form = new URLSearchParams({ grant_type: 'client_credentials' });
    const headers: Record<string, string> = {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    };
    if (scope !== undefined) form.set('scope', scope);
    if (audience !== undefined) form.set('audience', audience);
    if (credentials === 'body') {
      form.set('client_id', clientId);
      form.set('client_secret', clientSecret);
    } else {
      // Both parts are form-encoded first (RFC 6749 section 2.3.1).
      const header = basicHeader(formEncoded(clientId), formEncoded(clientSecret));
      this.#secrets.add(header.slice('Basic '.length));
      headers.authorization = header;
    }
    const answer = await this.#send(new URL(tokenUrl), headers, form.toString(), signal);
    const token = tokenAnswer.safeParse(tokenBody(answer));
    if (!token.success)
      throw new Failure('no-token', 'gave no access_token', {
        body: answer.bytes,
        retryable: false,
        remedy: 'check auth.oauth2.tokenUrl',
      });
    this.#secrets.add(token.data.access_token);
    const lifetime = token.data.expires_in;
    if (lifetime !== undefined) this.#renewAt = performance.now() + 1000 * (lifetime - Math.min(30, lifetime / 10));
    this.#current = `Bearer ${token.data.access_token}`;
    return this.#current;
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}

function tokenBody(answer: Answer): unknown {
  try {
    return parseJson(answer.bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
