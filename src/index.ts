export type * from './contract/index.js';
export { ConfigError, InDoubt, NotWritten, SinkError, SluiceError, SourceError } from './errors.js';
export { type DryRun, dryRun, LoadError, type LoadOptions, load } from './flow/load.js';
export type { ColumnSpec, Columns } from './flow/mapping.js';
