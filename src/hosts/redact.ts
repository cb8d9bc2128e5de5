import { isSecretName } from '../sources/http/address.js';

/** Names of options, headers and query parameters whose values are nobody's business. */
export const sensitive =
  /pass(?:word|wd|phrase)?$|secret|token|auth|api[-_]?key|access[-_]?key|cookie|credential|signature|^sig$/i;

/** Shorter ones would be found by chance in harmless words. */
const shortest = 6;

/**
 * Takes secrets out of whatever is about to be printed or logged: passwords in addresses, sensitive query parameters,
 * Authorization headers, and the very values the job holds under sensitive names. The last line of defence: the parts
 * keep secrets out of their messages themselves.
 */
export class Redactor {
  #secrets: readonly string[] = [];

  /** Learns the secrets of a job or of a part of it. Those that also stand in its harmless values are left alone. */
  learn(...values: readonly unknown[]): void {
    const found = { secrets: new Set<string>(), open: new Set<string>() };
    for (const value of values) collect(value, '', found);
    const open = [...found.open];
    const fresh = [...found.secrets].filter(
      (secret) => secret.length >= shortest && !open.some((text) => text.includes(secret)),
    );
    const forms = fresh.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]);
    this.#secrets = [...new Set([...this.#secrets, ...forms])].sort((a, b) => b.length - a.length);
  }

  clean(text: string): string {
    let cleaned = text;
    for (const secret of this.#secrets) cleaned = cleaned.replaceAll(secret, '***');
    return (
      cleaned
        .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:@/"']*):[^\s/"']*@/gi, '$1:***@')
        .replace(/([?&]([\w.-]+)=)[^&\s"'\\]+/g, withoutSecret)
        // Parameters within a path.
        .replace(/(;([\w.-]+)=)[^;/?&\s"'\\]+/g, withoutSecret)
        .replace(/(authorization\\?["']?\s*[:=]\s*\\?["']?(?:(?:basic|bearer)\s+)?)[^\s"'\\,]+/gi, '$1***')
    );
  }
}

function withoutSecret(whole: string, start: string, name: string): string {
  return sensitive.test(name) || isSecretName(name) ? `${start}***` : whole;
}

interface Found {
  readonly secrets: Set<string>;
  readonly open: Set<string>;
}

function collect(value: unknown, name: string, found: Found): void {
  if (typeof value === 'string') collectText(value, name, found);
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) collect(item, Array.isArray(value) ? name : key, found);
}

function collectText(text: string, name: string, { secrets, open }: Found): void {
  const [whole, user, password] = /^[a-z][a-z0-9+.-]*:\/\/([^\s:@/]*):(.*)@/i.exec(text) ?? [];
  if (whole !== undefined && user !== undefined && password !== undefined) {
    secrets.add(password).add(decoded(password));
    open.add(user).add(text.slice(whole.length));
  } else if (sensitive.test(name)) {
    secrets.add(text).add(text.split(/\s+/).at(-1)!);
  } else {
    open.add(text);
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
