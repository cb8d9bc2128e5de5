const link = /<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)/g;
const parameter = /;\s*([^\s=;,]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/g;

/**
 * The target of the first link whose relation types include `next` (RFC 8288 section 3); undefined when there is none.
 * A header sent several times comes as an array.
 */
export function nextLink(header: string | readonly string[]): string | undefined {
  const text = typeof header === 'string' ? header : header.join(', ');
  for (const [, target, parameters] of text.matchAll(link)) {
    // Of several rel parameters only the first counts.
    for (const [, name, quoted, bare] of (parameters ?? '').matchAll(parameter)) {
      if (name?.toLowerCase() !== 'rel') continue;
      if ((quoted ?? bare ?? '').toLowerCase().split(/\s+/).includes('next')) return target;
      break;
    }
  }
  return undefined;
}
