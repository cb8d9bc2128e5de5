export type { Batch, CsvBytes, CsvPiece } from './batch.js';
export type { Chunk, CsvChunk, CsvLayout, Defect, RecordChunk, ResumePoint, Span } from './chunk.js';
export type { Context, Log } from './context.js';
export type { Checkpoint, Holder, Ledger, RunRecord, RunRequest } from './ledger.js';
export type { Limit, Sample } from './limit.js';
export type { Cell, Refusal, Reject, Row } from './record.js';
export type { Report, ReportedProblem, Snapshot } from './report.js';
export type {
  FailureClass,
  Guarantee,
  Intake,
  RunStatus,
  Sink,
  SinkPlan,
  SinkTraits,
  WriteResult,
} from './sink.js';
export type { Problem, ReadContext, Source, Split } from './source.js';
