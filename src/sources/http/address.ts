/** Words that make a name a secret's. Whole words only: `author`, `keyword` and `design` tell listings apart. */
const secretWords =
  /^(?:auth|authorization|token|jwt|secret|password|passwd|pwd|pass|passphrase|sig|signature|hmac|bearer|credentials?|cookie|apikey|accesskey|j?sessionid|(?:php)?sessid)$/;
/** Words before `key` that make it one; a bare `key` is one too, as Google's APIs have it. */
const keyWords = /^(?:api|access|private|subscription|app|application|client|account|shared)$/;
/** Names, when nothing stands beside them: `accountSid` and `session_year` tell listings apart. */
const sessionNames = /^(?:session|sid)$/;
/** Words before `token` with which it is a place in a listing. */
const placeWords = /^(?:page|next|continuation|after|cursor|sync|resume|start|skip)$/;

/** Whether a query parameter, header or body field of this name holds something that must not be shown. */
export function isSecretName(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  return words.some((word, i) => {
    if (word === 'token') return !placeWords.test(words[i - 1] ?? '');
    if (word === 'key') return words.length === 1 || keyWords.test(words[i - 1] ?? '');
    if (sessionNames.test(word) && words.length === 1) return true;
    if (word === 'session') return words[i + 1] === 'id';
    return secretWords.test(word);
  });
}

/** Parameters within a path, as in `/cities;jsessionid=1A2B`. */
const pathParameter = /;([^=;/]+)=[^;/]*/g;

/** The address as it may be shown and stored: without user, password and the parameters that hold secrets. */
export function publicAddress(address: URL): string {
  const shown = new URL(address);
  shown.username = '';
  shown.password = '';
  shown.hash = '';
  shown.pathname = shown.pathname.replace(pathParameter, (whole, name: string) => (isSecretName(name) ? '' : whole));
  for (const name of new Set(shown.searchParams.keys())) if (isSecretName(name)) shown.searchParams.delete(name);
  return shown.href;
}

/** An address found in a response, without those secret parameters that `source` has too: it can be stored. */
export function withoutSecretsOf(source: URL, address: URL): string {
  const stored = new URL(address);
  for (const name of new Set(source.searchParams.keys())) if (isSecretName(name)) stored.searchParams.delete(name);
  return stored.href;
}

/** The stored address with those secret parameters of `source` that it lacks. */
export function withSecretsOf(source: URL, address: string): URL {
  const whole = new URL(address);
  for (const [name, value] of source.searchParams)
    if (isSecretName(name) && !whole.searchParams.has(name)) whole.searchParams.append(name, value);
  return whole;
}

/** A JSON body with the values of secret fields left out, wherever they stand. */
export function publicBody(body: unknown): unknown {
  if (Array.isArray(body)) return body.map(publicBody);
  if (typeof body !== 'object' || body === null) return body;
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, isSecretName(name) ? undefined : publicBody(value)]),
  );
}

/** The values of the secret fields of a JSON body. */
export function secretsIn(body: unknown, secret = false): string[] {
  if (typeof body === 'string') return secret ? [body] : [];
  if (typeof body !== 'object' || body === null) return [];
  return Object.entries(body).flatMap(([name, value]) => secretsIn(value, secret || isSecretName(name)));
}

/** Replaces every secret that has found its way into a text, such as a body in which a server repeats the request. */
export function hider(secrets: Iterable<string>): (text: string) => string {
  const forms = new Set<string>();
  for (const secret of secrets) {
    // Shorter ones would be found in innocent words.
    if (secret.length < 4) continue;
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) forms.add(form);
  }
  const known = [...forms].sort((a, b) => b.length - a.length);
  return (text) => known.reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
}
