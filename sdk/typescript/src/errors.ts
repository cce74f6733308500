/**
 * Everything that this SDK throws, for clients and workers alike.
 *
 * The package can be loaded twice in one process, as ES modules and as CommonJS. What must be told apart all the same is
 * therefore known by a symbol of the process, not by its class.
 */

/** The base of all errors of this SDK. */
export class TaskyardError extends Error {
  /** A stable word to branch on, e.g. `BACKLOG_FULL`; empty if there is none. */
  readonly reason: string;

  constructor(message: string, reason = "", options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.reason = reason;
  }
}

/** What is wrong with one field of a request; `field` is its path, e.g. `retry.max_attempts`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** A setting or a field of a request breaks a rule; sending it again can't help. */
export class InvalidArgument extends TaskyardError {
  readonly violations: readonly FieldViolation[];

  constructor(violations: readonly FieldViolation[], message = "", reason = "INVALID_ARGUMENT") {
    super(message || violations.map(({ field, description }) => `${field}: ${description}`).join("; "), reason);
    this.violations = violations;
  }

  /** The error for one field. */
  static of(field: string, description: string): InvalidArgument {
    return new InvalidArgument([{ field, description }]);
  }
}

/** A value that JSON cannot express, or a document that is not JSON. */
export class NotJson extends InvalidArgument {}

/** A value that its task's schema refuses. */
export class SchemaMismatch extends InvalidArgument {}

/** Nothing has this id. */
export class NotFound extends TaskyardError {}

/** The idempotency key was used before, for a different task. */
export class IdempotencyConflict extends TaskyardError {
  /** The task that owns the key. */
  readonly taskId: string;

  constructor(message: string, taskId: string) {
    super(message, "IDEMPOTENCY_CONFLICT");
    this.taskId = taskId;
  }
}

/** The task's state doesn't allow this, e.g. a redrive of a task that hasn't failed. */
export class FailedPrecondition extends TaskyardError {}

/** The queue holds as many waiting tasks as it may, or another limit is used up; nothing was accepted. */
export class BacklogFull extends TaskyardError {
  /** Milliseconds after which trying again can help, if the server said so. */
  readonly retryAfter: number | undefined;

  constructor(message: string, retryAfter?: number, reason = "BACKLOG_FULL") {
    super(message, reason);
    this.retryAfter = retryAfter;
  }
}

/** The server doesn't know the caller, or doesn't let it do this. */
export class AccessDenied extends TaskyardError {}

/** The cluster can't be reached, or can't answer at the moment. */
export class Unavailable extends TaskyardError {
  /** Whether the request may have been carried out all the same. */
  readonly outcomeUnknown: boolean;

  constructor(message: string, outcomeUnknown = false, reason = "UNAVAILABLE", options?: ErrorOptions) {
    super(message, reason, options);
    this.outcomeUnknown = outcomeUnknown;
  }
}

/** The caller's time limit passed. */
export class DeadlineExceeded extends TaskyardError {
  /** Whether the request may have been carried out all the same. */
  readonly outcomeUnknown: boolean;

  constructor(message: string, outcomeUnknown = false, reason = "DEADLINE_EXCEEDED") {
    super(message, reason);
    this.outcomeUnknown = outcomeUnknown;
  }
}

/** The server failed in a way that it has no better word for. */
export class ServerError extends TaskyardError {}

/** The dispatcher refused this worker's hello for good, e.g. for a bad label. The message says why. */
export class HelloRefused extends TaskyardError {}

const NON_RETRYABLE = Symbol.for("taskyard.nonRetryable");
const STOP = Symbol.for("taskyard.stop");

/** Throw it, or a class of your own that extends it, when another attempt cannot help: the task fails at once. */
export class NonRetryable extends Error {
  readonly [NON_RETRYABLE] = true;

  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Whether the handler said that another attempt cannot help. */
export function isNonRetryable(error: unknown): boolean {
  return typeof error === "object" && error !== null && NON_RETRYABLE in error;
}

/**
 * Why a handler is told to stop: a user cancelled the task, it ran out of time, another worker has it now, or this worker
 * shuts down.
 */
export type StopCause = "cancelled" | "timeout" | "lost" | "drain";

const TOLD: Record<StopCause, string> = {
  cancelled: "the task was cancelled",
  timeout: "the attempt ran out of time",
  lost: "the attempt is not this worker's any more",
  drain: "the worker shuts down",
};

/** The reason of a handler's `signal`. Its name is that of any other abort, so that libraries take it for one. */
export class StopError extends Error {
  readonly [STOP] = true;
  readonly stop: StopCause;

  constructor(stop: StopCause) {
    super(TOLD[stop]);
    this.name = "AbortError";
    this.stop = stop;
  }
}

/** Whether a handler that was told to stop ended as one does. */
export function isStop(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  return STOP in error || ("name" in error && error.name === "AbortError");
}
