import type { Split } from '../../contract/index.js';
import type { ByteStream } from '../../formats/bytes.js';

/** A file to be read, seen to be there. */
export interface FoundFile {
  /** As given, or as the glob found it: relative where that was. */
  readonly path: string;
  /** Tells it from others, however they are named. */
  readonly key: string;
  /** Undefined for what is no plain file: standard input, a pipe. */
  readonly size?: number;
  /** Undefined where it is not known before it is read. */
  readonly gzip: boolean | undefined;
  /** As in Split. */
  readonly fingerprint?: string | undefined;
}

/** A file that is being read. */
interface OpenFile {
  /** As it lies there, compressed where it is. */
  readonly bytes: ByteStream;
  /** Undefined: its first bytes tell. */
  readonly gzip: boolean | undefined;
}

/** Where files lie: this machine, or S3. */
export interface Store extends AsyncDisposable {
  /** The files that a path or a glob stands for, sorted. @throws ConfigError for a glob that finds nothing, SourceError for what can't be read. */
  find(path: string, gzip: boolean | undefined, signal: AbortSignal): Promise<readonly FoundFile[]>;
  /** Opens a file by its split. @throws SourceError. */
  open(split: Split, gzip: boolean | undefined, signal: AbortSignal): Promise<OpenFile>;
}
