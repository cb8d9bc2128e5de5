// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholder of job files, not of JavaScript.
/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a text became, and what was wrong with it: an unset variable, a `${` that leads nowhere. */
export interface Interpolated {
  readonly text: string;
  readonly problems: readonly string[];
  /** True when a variable's value stands in the text: it may be a secret, and is not to be shown. */
  readonly changed: boolean;
}

const reference = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?/g;

/**
 * Puts environment variables into a text: `${NAME}`, or `${NAME:-default}` which also stands in for an empty variable,
 * as in a shell. `$${` is a plain `${`. A default is taken literally. Text without `${` comes back as it is.
 */
export function interpolate(text: string, environment: Environment): Interpolated {
  const problems: string[] = [];
  let changed = false;
  const result = text.replace(reference, (found: string, name: string | undefined, fallback: string | undefined) => {
    if (found === '$${') return '${';
    if (name === undefined || fallback?.includes('${')) {
      problems.push('"${" begins a variable, such as "${NAME}" or "${NAME:-default}"; a plain "${" is written "$${"');
      return found;
    }
    const value = environment[name];
    if (value === undefined && fallback === undefined) {
      problems.push(`environment variable ${name} is not set; set it, or give a default with "\${${name}:-default}"`);
      return found;
    }
    changed = true;
    return fallback !== undefined && (value === undefined || value === '') ? fallback : (value ?? '');
  });
  return { text: result, problems, changed };
}

/** Names of the variables in a text. */
export function variablesOf(text: string): string[] {
  return [...text.matchAll(reference)].flatMap(([, name]) => (name === undefined ? [] : [name]));
}
