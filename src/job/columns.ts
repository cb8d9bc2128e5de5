import { ConfigError } from '../errors.js';
import { parsePath } from '../formats/path.js';

/**
 * Reads `--columns`: `id,name,lon=loc.coordinates[0]`, column by column, each with the path it is read from when that
 * is not its own name. A comma or `=` within `["..."]` belongs to the path.
 * @throws ConfigError that quotes the part at fault.
 */
export function parseColumns(text: string): Readonly<Record<string, string>> {
  const columns = new Map<string, string>();
  for (const part of split(text)) {
    const equals = part.indexOf('=');
    const column = (equals < 0 ? part : part.slice(0, equals)).trim();
    const path = equals < 0 ? column : part.slice(equals + 1).trim();
    if (column === '' || path === '') {
      throw new ConfigError('bad-columns', `"${part}" is not a column: write NAME, or NAME=PATH, with commas between`);
    }
    if (equals < 0 && /[.[\]]/.test(column)) {
      throw new ConfigError('bad-columns', `"${part}" is a path without a column to go to: write NAME=${column}`);
    }
    if (columns.has(column)) {
      throw new ConfigError('bad-columns', `column "${column}" is given twice`);
    }
    parsePath(path);
    columns.set(column, path);
  }
  return Object.fromEntries(columns);
}

function split(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (const [piece] of text.matchAll(/\["(?:[^"\\]|\\.)*"\]|[^,]|,/g)) {
    if (piece === ',') {
      parts.push(part);
      part = '';
    } else {
      part += piece;
    }
  }
  parts.push(part);
  return parts;
}
