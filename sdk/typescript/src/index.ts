export {
  task,
  type InputOf,
  type OutputOf,
  type ReturnedOf,
  type StandardSchema,
  type SubmittedOf,
  type TaskDefinition,
  type TaskTypes,
} from "./definition.js";
export {
  AccessDenied,
  BacklogFull,
  DeadlineExceeded,
  FailedPrecondition,
  HelloRefused,
  IdempotencyConflict,
  InvalidArgument,
  NonRetryable,
  NotFound,
  NotJson,
  SchemaMismatch,
  ServerError,
  StopError,
  TaskyardError,
  Unavailable,
  type FieldViolation,
  type StopCause,
} from "./errors.js";
export type { TlsOptions } from "./settings.js";
export type { Context } from "./worker/context.js";
export type { Handler, HandlerOptions } from "./worker/handler.js";
export { isolated, type IsolatedModule } from "./worker/isolated.js";
export type { Fields, Level, Logger } from "./worker/log.js";
export { Worker, type WorkerOptions } from "./worker/worker.js";
export * from "./client/index.js";
