import type { Chunk, ReadContext, ResumePoint, Source, Split } from '../../contract/index.js';
import { ConfigError } from '../../errors.js';
import type { ByteStream } from '../../formats/bytes.js';
import { readCsv } from '../../formats/csv.js';
import { readNdjson } from '../../formats/ndjson.js';
import { fileBytes, standardInputBytes } from './file-bytes.js';
import { gunzipped } from './gunzip.js';
import { type FileOptions, fileOptions } from './options.js';
import { findFiles, isPattern, lookAt, standardInput } from './paths.js';

export { type FileOptions, fileOptions } from './options.js';

/**
 * Records from CSV and NDJSON files, plain or gzip, or from standard input: one split a file, its id the path.
 * Throws ConfigError when an option is wrong, or when the format of a file can't be told. `splits` throws SourceError
 * (`no-such-file`, `is-a-directory`, `no-permission`) or ConfigError (`no-files`) before anything is read; `read`
 * throws SourceError for what the bytes turn out to be: `bad-gzip`, `bad-header`, `record-too-large`, `source-shrank`.
 */
export function file(options: FileOptions): Source {
  const checked = fileOptions.safeParse(options);
  if (!checked.success) {
    const issues = checked.error.issues.map(({ path, message }) => `${path.join('.') || 'options'}: ${message}`);
    throw new ConfigError('bad-option', `file source: ${issues.join('; ')}`, { cause: checked.error });
  }
  const { path, format, gzip, ...dialect } = checked.data;
  const paths = typeof path === 'string' ? [path] : path;
  for (const given of paths) if (!isPattern(given)) formatOf(given, format);

  return {
    name: 'file',
    identity: identityOf(paths, { format, ...dialect }),

    async *splits(): AsyncGenerator<Split> {
      const files = await findFiles(paths, gzip);
      for (const { path } of files) formatOf(path, format);
      for (const { path, size, gzip } of files) {
        // How many bytes gzip holds is known only when it has been read.
        yield size === undefined || gzip ? { id: path } : { id: path, bytes: size };
      }
    },

    async *read(split: Split, from: ResumePoint | undefined, { signal }: ReadContext): AsyncGenerator<Chunk> {
      const bytes = await openBytes(split, gzip, signal);
      const kind = formatOf(split.id, format);
      const delimiter = dialect.delimiter ?? kind.delimiter;
      const chunks =
        kind.format === 'ndjson'
          ? readNdjson(bytes, { split: split.id, from })
          : readCsv(bytes, { ...dialect, delimiter, split: split.id, from });
      for await (const chunk of chunks) {
        yield chunk;
        // What was decompressed ahead does not come from the file, whose reading ends by the signal itself.
        signal.throwIfAborted();
      }
    },

    async [Symbol.asyncDispose]() {},
  };
}

async function openBytes(split: Split, gzip: boolean | undefined, signal: AbortSignal): Promise<ByteStream> {
  if (split.id === standardInput) return gunzipped(standardInputBytes(signal), gzip, 'standard input');
  const found = await lookAt(split.id, gzip);
  const size = found.size === undefined ? undefined : Math.max(found.size, split.bytes ?? 0);
  return gunzipped(fileBytes(split.id, size, signal), found.gzip, split.id);
}

interface Format {
  readonly format: 'csv' | 'ndjson';
  readonly delimiter: string;
}

const extensions: Readonly<Record<string, Format>> = {
  csv: { format: 'csv', delimiter: ',' },
  tsv: { format: 'csv', delimiter: '\t' },
  ndjson: { format: 'ndjson', delimiter: ',' },
  jsonl: { format: 'ndjson', delimiter: ',' },
};

function formatOf(path: string, format: Format['format'] | undefined): Format {
  const extension = /\.(csv|tsv|ndjson|jsonl)(?:\.gz)?$/i.exec(path)?.[1]?.toLowerCase();
  const named = extension === undefined ? undefined : extensions[extension];
  if (format) return { format, delimiter: named?.delimiter ?? ',' };
  if (named) return named;
  const what =
    path === standardInput ? 'standard input has no name to tell its format by' : `${path} doesn't tell its format`;
  throw new ConfigError('format-unknown', `${what}: give "format" (csv or ndjson)`);
}

/** Paths and what changes the records read from them; what has its default is left out. */
function identityOf(paths: readonly string[], settings: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  const words = given.map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return [`file:${paths.join(',')}`, ...words].join(' ');
}
