import type { Path } from '../../job/shape.js';
import { isSecretName } from '../../sources/http/address.js';
import { sensitive } from '../redact.js';

/** A job's value without the secrets that are written in it. */
export interface Cleared {
  readonly value: unknown;
  /** Where a secret was: nothing stands there now, or, of the sink's address, the address without its password. */
  readonly withheld: readonly Path[];
}

/**
 * Takes out of a job what must not be kept: passwords, tokens, the values of headers, addresses with one of them. A
 * variable such as `${TOKEN}` is no secret; its default may be one.
 */
export function takeOutSecrets(job: unknown): Cleared {
  const withheld: Path[] = [];

  function clear(value: unknown, path: Path): unknown {
    if (typeof value === 'string') {
      const { password, secret } = judge(value, path);
      if (password || secret) withheld.push(path);
      return secret ? undefined : password ? withoutPassword(value) : value;
    }
    // What is written into the table is data, whatever its column is called.
    if (path[0] === 'columns' && path.length === 1) return value;
    if (Array.isArray(value)) return value.map((item, index) => clear(item, [...path, index]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, clear(item, [...path, key])]));
  }

  return { value: clear(job, []), withheld };
}

function judge(text: string, path: Path): { password: boolean; secret: boolean } {
  const literal = text.replaceAll(/\$\{[A-Za-z_][A-Za-z0-9_]*\}/g, '');
  const source = path[0] === 'source';
  const names = path.filter((step) => typeof step === 'string');
  const named = names
    .slice(1)
    .some((name) => sensitive.test(name) || (source && (isSecretName(name) || name === 'headers')));
  if (named && !/^(?:(?:basic|bearer|token)\b)?\s*$/i.test(literal)) return { password: false, secret: true };
  const query = [...literal.matchAll(/[?&;]([^&;=\s]+)=([^&;\s]+)/g)];
  if (query.some(([, name = '']) => sensitive.test(name) || isSecretName(name)))
    return { password: false, secret: true };
  const password = /^[a-z][a-z0-9+.-]*:\/\/[^:@/?#]*:[^@]+@/i.test(literal);
  return { password: password && !source, secret: password && source };
}

function withoutPassword(address: string): string {
  return address.replace(/^([a-z][a-z0-9+.-]*:\/\/[^:@/?#]*):.*@/i, '$1@');
}
