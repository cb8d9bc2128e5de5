export type { Batch, CsvBytes, CsvPiece } from './batch.js';
export type { Chunk, CsvChunk, CsvLayout, Defect, RecordChunk, Replay, ResumePoint, Span } from './chunk.js';
export type { Context, Log } from './context.js';
export type { Checkpoint, Holder, Ledger, RunRecord, RunRequest } from './ledger.js';
export type { Gate, GateEvent, Limit, Sample } from './limit.js';
export type { Cell, Refusal, Reject, Row } from './record.js';
export type { GateChange, GateReport, Report, ReportedProblem, Snapshot, Verified } from './report.js';
export type {
  Compared,
  Comparison,
  Difference,
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
