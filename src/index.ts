export type * from './contract/index.js';
export { ConfigError, InDoubt, NotWritten, SinkError, SluiceError, SourceError } from './errors.js';
export { dryRun, load } from './flow/load.js';
export { LoadError } from './flow/load-error.js';
export type { ColumnSpec, Columns } from './flow/mapping.js';
export type { DryRun, LoadOptions } from './flow/options.js';
