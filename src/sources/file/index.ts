import type { Chunk, ReadContext, ResumePoint, Source, Split } from '../../contract/index.js';
import { ConfigError, SourceError } from '../../errors.js';
import type { ByteStream } from '../../formats/bytes.js';
import { readCsv, readCsvFields } from '../../formats/csv.js';
import { readNdjson } from '../../formats/ndjson.js';
import { BufferPool } from './buffer-pool.js';
import { step } from './file-bytes.js';
import { gunzipped } from './gunzip.js';
import { inOrder } from './in-order.js';
import { localFiles } from './local-files.js';
import { type FileOptions, fileOptions } from './options.js';
import { directoryError, isDirectory, isPattern, standardInput } from './paths.js';
import { isS3, parseS3 } from './s3/address.js';
import type { FoundFile, Store } from './store.js';

export { type FileOptions, fileOptions } from './options.js';

/** Files of a glob whose headers are read before the first record is, and how many of them at once. */
const headersLookedAt = 1_000;
const headersAtOnce = 8;

/**
 * Records from CSV and NDJSON files, plain or gzip, of this machine, of S3, or from standard input: one split a file, its id the path.
 * Throws ConfigError when an option is wrong, or when the format of a file can't be told, and SourceError (`is-a-directory`)
 * when that is a directory. `splits` throws SourceError (`no-such-file`, `is-a-directory`, `no-permission`) or ConfigError
 * (`no-files`) before anything is read; `read` throws SourceError for what the bytes turn out to be: `bad-gzip`, `bad-header`,
 * `record-too-large`, `source-shrank`.
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
  for (const given of paths) {
    if (isS3(given)) parseS3(given);
    if (!isPattern(given)) check(given);
  }

  const pool = new BufferPool(step);
  const local = localFiles(pool);
  let s3: Promise<Store> | undefined;
  const storeOf = async (path: string): Promise<Store> => {
    if (!isS3(path)) return local;
    s3 ??= import('./s3/index.js').then(({ s3Objects }) => s3Objects(pool));
    return await s3;
  };

  async function openBytes(split: Split, signal: AbortSignal): Promise<ByteStream> {
    const store = await storeOf(split.id);
    const open = await store.open(split, gzip, signal);
    return gunzipped(open.bytes, open.gzip, split.id === standardInput ? 'standard input' : split.id);
  }

  /** Each once: in the order given, those of a glob sorted. */
  async function findFiles(signal: AbortSignal): Promise<FoundFile[]> {
    const found = new Map<string, FoundFile>();
    for (const path of paths) {
      const store = await storeOf(path);
      for (const file of await store.find(path, gzip, signal)) if (!found.has(file.key)) found.set(file.key, file);
    }
    return [...found.values()];
  }

  async function fieldsOf(split: Split, signal: AbortSignal): Promise<readonly string[] | undefined> {
    const kind = formatOf(split.id, format);
    if (kind.format === 'ndjson') return undefined;
    const delimiter = dialect.delimiter ?? kind.delimiter;
    const bytes = await openBytes(split, signal);
    const fields = await readCsvFields(bytes, { ...dialect, delimiter, split: split.id });
    if (fields && !dialect.fields) checkDelimiter(split.id, fields, delimiter);
    return fields;
  }

  return {
    name: 'file',
    identity: identityOf(paths, { format, ...dialect }),
    once: paths.includes(standardInput),

    async *splits({ signal }: ReadContext): AsyncGenerator<Split> {
      const files = await findFiles(signal);
      for (const { path } of files) check(path);
      yield* inOrder(files, headersAtOnce, async ({ path, size, gzip, fingerprint }, i) => {
        const split = { id: path, ...(fingerprint !== undefined && { fingerprint }) };
        const seekable = size !== undefined && i < headersLookedAt;
        const fields = seekable ? await fieldsOf({ ...split, bytes: size }, signal) : undefined;
        // How many bytes gzip holds is known only when it has been read.
        return { ...split, ...(fields && { fields }), ...(size !== undefined && !gzip && { bytes: size }) };
      });
    },

    async *read(split: Split, from: ResumePoint | undefined, context: ReadContext): AsyncGenerator<Chunk> {
      const { signal } = context;
      const bytes = await openBytes(split, signal);
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

    async [Symbol.asyncDispose]() {
      const opened = await s3?.catch(() => undefined);
      await opened?.[Symbol.asyncDispose]();
    },
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
  if (isDirectory(path)) throw directoryError(path);
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
