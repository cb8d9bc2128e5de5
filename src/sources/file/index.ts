import type { Chunk, ReadContext, ResumePoint, Source, Split } from '../../contract/index.js';
import { ConfigError, SourceError } from '../../errors.js';
import type { ByteStream } from '../../formats/bytes.js';
import { readCsv, readCsvFields } from '../../formats/csv.js';
import { readNdjson } from '../../formats/ndjson.js';
import { BufferPool } from './buffer-pool.js';
import { fileBytes, standardInputBytes, step } from './file-bytes.js';
import { fingerprintOf } from './fingerprint.js';
import { gunzipped } from './gunzip.js';
import { type FileOptions, fileOptions } from './options.js';
import { findFiles, isPattern, lookAt, standardInput } from './paths.js';

export { type FileOptions, fileOptions } from './options.js';

/** Files of a glob whose headers are read before the first record is. */
const headersLookedAt = 1_000;

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
  const check = (path: string) => {
    const kind = formatOf(path, format);
    if (kind.format === 'csv') checkNull(path, dialect.null, dialect.delimiter ?? kind.delimiter);
  };
  for (const given of paths) if (!isPattern(given)) check(given);

  const pool = new BufferPool(step);

  async function fieldsOf(split: Split, signal: AbortSignal): Promise<readonly string[] | undefined> {
    const kind = formatOf(split.id, format);
    if (kind.format === 'ndjson') return undefined;
    const delimiter = dialect.delimiter ?? kind.delimiter;
    const bytes = await openBytes(split, gzip, pool, signal);
    const fields = await readCsvFields(bytes, { ...dialect, delimiter, split: split.id });
    if (fields && !dialect.fields) checkDelimiter(split.id, fields, delimiter);
    return fields;
  }

  return {
    name: 'file',
    identity: identityOf(paths, { format, ...dialect }),
    once: paths.includes(standardInput),

    async *splits({ signal }: ReadContext): AsyncGenerator<Split> {
      const files = await findFiles(paths, gzip);
      for (const { path } of files) check(path);
      for (const [i, { path, size, gzip }] of files.entries()) {
        const fingerprint = size === undefined ? undefined : await fingerprintOf(path);
        const seekable = size !== undefined && i < headersLookedAt;
        const fields = seekable ? await fieldsOf({ id: path, bytes: size }, signal) : undefined;
        const split = { id: path, fingerprint, ...(fields && { fields }) };
        // How many bytes gzip holds is known only when it has been read.
        yield size === undefined || gzip ? split : { ...split, bytes: size };
      }
    },

    async *read(split: Split, from: ResumePoint | undefined, context: ReadContext): AsyncGenerator<Chunk> {
      const { signal } = context;
      const bytes = await openBytes(split, gzip, pool, signal);
      const kind = formatOf(split.id, format);
      const delimiter = dialect.delimiter ?? kind.delimiter;
      const chunks =
        kind.format === 'ndjson'
          ? readNdjson(bytes, { split: split.id, from })
          : readCsv(bytes, {
              ...dialect,
              delimiter,
              split: split.id,
              from,
              problem: (problem) => context.problem(problem),
            });
      for await (const chunk of chunks) {
        if (chunk.kind === 'csv' && !dialect.fields) checkDelimiter(split.id, chunk.layout.fields, delimiter);
        yield recycled(chunk, pool);
        // What was decompressed ahead does not come from the file, whose reading ends by the signal itself.
        signal.throwIfAborted();
      }
    },

    async [Symbol.asyncDispose]() {},
  };
}

/** The delimiter may come from the file's name. */
function checkNull(path: string, text: string | undefined, delimiter: string): void {
  if (!text?.includes(delimiter)) return;
  const shown = JSON.stringify(delimiter);
  throw new ConfigError('bad-option', `file source: null: must not hold the delimiter, which is ${shown} in ${path}`);
}

/**
 * One field whose name holds another common delimiter is a file read with the wrong one, whoever chose it, and its table
 * would be nonsense.
 */
function checkDelimiter(path: string, fields: readonly string[], delimiter: string): void {
  if (fields.length !== 1) return;
  const name = fields[0]!;
  const other = [';', '\t', '|', ','].find((mark) => mark !== delimiter && name.includes(mark));
  if (other === undefined) return;
  const [shown, used] = [other, delimiter].map((mark) => (mark === '\t' ? '\\t' : mark));
  throw new SourceError(
    'bad-header',
    `${path}: split at "${used}" the header is the one field ${JSON.stringify(name)}: if "${shown}" stands between fields, give it as delimiter (--delimiter '${shown}'); if it is one field, name it by "fields" in a job file, with "header: true"`,
  );
}

/** A chunk that lies in one of the pool's buffers gives it back in the end; no other chunk lies in the same one. */
function recycled(chunk: Chunk, pool: BufferPool): Chunk {
  if (chunk.kind !== 'csv' || !pool.lent(chunk.data)) return chunk;
  return { ...chunk, release: () => pool.giveBack(chunk.data) };
}

async function openBytes(
  split: Split,
  gzip: boolean | undefined,
  pool: BufferPool,
  signal: AbortSignal,
): Promise<ByteStream> {
  if (split.id === standardInput) return gunzipped(standardInputBytes(signal), gzip, 'standard input');
  const found = await lookAt(split.id, gzip);
  const size = found.size === undefined ? undefined : Math.max(found.size, split.bytes ?? 0);
  return gunzipped(fileBytes(split.id, size, pool, signal), found.gzip, split.id);
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
  throw new ConfigError('format-unknown', `${what}: give "format" (csv or ndjson; on the command line --format)`);
}

/** Paths and what changes the records read from them; what has its default is left out. */
function identityOf(paths: readonly string[], settings: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  const words = given.map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return [`file:${paths.join(',')}`, ...words].join(' ');
}
