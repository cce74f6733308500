/** From a call that failed to the errors of this package. */
import { Code, ConnectError } from "@connectrpc/connect";
import {
  AccessDenied,
  BacklogFull,
  DeadlineExceeded,
  FailedPrecondition,
  type FieldViolation,
  IdempotencyConflict,
  InvalidArgument,
  NotFound,
  ServerError,
  type TaskyardError,
  Unavailable,
} from "../errors.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/error_details_pb.js";
import type { SubmitError } from "../gen/task_service_pb.js";
import { milliseconds } from "./times.js";

/** The reason of a `ServerError` whose answer, or whose request, is larger than the other side takes. */
export const TOO_LARGE = "MESSAGE_TOO_LARGE";

/** The cause of a call that no connection could carry: the server surely never got it. */
export class NotReached extends Error {
  override readonly name = "NotReached";
}

/** A refusal, however it came: as the status of a call, or as the error of one item. */
interface Refusal {
  readonly message: string;
  readonly reason: string;
  readonly violations: readonly FieldViolation[];
  readonly retryAfter: number | undefined;
  readonly taskId: string;
}

/** The error for a call to the scheduler at `address` that failed. */
export function ofCall(thrown: unknown, address: string): TaskyardError {
  const failure = ConnectError.from(thrown);
  // Only a scheduler tells details; without them the status says who speaks.
  const told = failure.details.length > 0 || failure.metadata.has("grpc-status");
  const error = told ? ofServer(failure, address) : ofTransport(failure, address);
  error.cause = failure;
  return error;
}

/** The error for one task of a batch. */
export function ofItem(error: SubmitError): TaskyardError {
  const field = withoutPlace(error.field);
  const message = error.field ? error.message.replace(error.field, field) : error.message;
  const described = message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
  const refusal: Refusal = {
    message,
    reason: error.reason,
    violations: field ? [{ field, description: described }] : [],
    retryAfter: error.retryAfter && milliseconds(error.retryAfter),
    taskId: error.taskId,
  };
  return (BY_REASON[error.reason] ?? serverError)(refusal);
}

/** What a scheduler answered. */
function ofServer(failure: ConnectError, address: string): TaskyardError {
  const refusal = read(failure);
  const build = BY_REASON[refusal.reason];
  if (build) return build(refusal);
  if (failure.code === Code.ResourceExhausted && /larger than max/i.test(failure.rawMessage)) {
    // gRPC's own word for a message that it won't take has nothing to do with backlogs.
    return serverError({ ...refusal, reason: TOO_LARGE });
  }
  if (failure.code === Code.Unimplemented) {
    const told = `${address} does not know this call: is it a scheduler's gRPC port, of this version or newer?`;
    return serverError({ ...refusal, message: `${told} (${refusal.message})` });
  }
  return (BY_CODE[failure.code] ?? serverError)(refusal);
}

/** What happened on the way, without a word of the scheduler's. */
function ofTransport({ rawMessage, code, cause }: ConnectError, address: string): TaskyardError {
  if (cause instanceof NotReached) return new Unavailable(`can't reach ${address}: ${rawMessage}`);
  if (code === Code.DeadlineExceeded) {
    return new DeadlineExceeded(`${address} did not answer in time: is it a scheduler's gRPC port?`, true);
  }
  const told = `${address}: ${rawMessage}`;
  // An HTTP/2 peer says so only of what it has not begun.
  if (rawMessage.includes("REFUSED_STREAM")) return new Unavailable(told);
  if (rawMessage.includes("readMaxBytes")) return new ServerError(told, TOO_LARGE);
  if (NOT_GRPC.test(rawMessage)) return new ServerError(`${told}: is it a scheduler's gRPC port?`);
  return new Unavailable(told, true);
}

const NOT_GRPC = /^(HTTP 4(?!29)|unsupported content type|cannot decode|parse binary)/;

function read(failure: ConnectError): Refusal {
  const info = failure.findDetails(ErrorInfoSchema)[0];
  const retry = failure.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const bad = failure.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return {
    message: failure.rawMessage || Code[failure.code],
    reason: info?.reason ?? "",
    violations: bad.map(({ field, description }) => ({ field: withoutPlace(field), description })),
    retryAfter: retry && milliseconds(retry),
    taskId: info?.metadata.task_id ?? "",
  };
}

/** The server names fields by the task's place in the request it saw; callers saw another request or none. */
function withoutPlace(path: string): string {
  const place = /^tasks\[[0-9]+\](?:\.|$)|^task\./.exec(path);
  return place ? path.slice(place[0].length) || "task" : path;
}

type Build = (refusal: Refusal) => TaskyardError;

const invalidArgument: Build = ({ message, violations, reason }) =>
  new InvalidArgument(violations, violations.length > 0 ? "" : message, reason || undefined);
const notFound: Build = ({ message, reason }) => new NotFound(message, reason || "NOT_FOUND");
const conflict: Build = ({ message, taskId }) => new IdempotencyConflict(message, taskId);
const precondition: Build = ({ message, reason }) => new FailedPrecondition(message, reason || "FAILED_PRECONDITION");
const backlogFull: Build = ({ message, retryAfter, reason }) =>
  new BacklogFull(message, retryAfter, reason || "RESOURCE_EXHAUSTED");
const accessDenied: Build = ({ message, reason }) => new AccessDenied(message, reason || "PERMISSION_DENIED");
const unavailable: Build = ({ message, reason }) => new Unavailable(message, true, reason || undefined);
// Sent away before anything was carried out.
const tooMany: Build = ({ message, reason }) => new Unavailable(message, false, reason);
const deadline: Build = ({ message }) => new DeadlineExceeded(message, true);
const serverError: Build = ({ message, reason }) => new ServerError(message, reason);

const BY_REASON: Readonly<Record<string, Build>> = {
  INVALID_ARGUMENT: invalidArgument,
  PAYLOAD_TOO_LARGE: invalidArgument,
  NOT_FOUND: notFound,
  IDEMPOTENCY_CONFLICT: conflict,
  FAILED_PRECONDITION: precondition,
  BACKLOG_FULL: backlogFull,
  TOO_MANY_REQUESTS: tooMany,
  TOO_MANY_LANES: backlogFull,
  UNAVAILABLE: unavailable,
  DEADLINE_EXCEEDED: deadline,
};

const BY_CODE: Readonly<Partial<Record<Code, Build>>> = {
  [Code.InvalidArgument]: invalidArgument,
  [Code.OutOfRange]: invalidArgument,
  [Code.NotFound]: notFound,
  [Code.AlreadyExists]: conflict,
  [Code.FailedPrecondition]: precondition,
  [Code.Aborted]: precondition,
  [Code.ResourceExhausted]: backlogFull,
  [Code.Unauthenticated]: accessDenied,
  [Code.PermissionDenied]: accessDenied,
  [Code.Unavailable]: unavailable,
  // Nobody but the server or a closing connection cancels a call whose caller still waits for it.
  [Code.Canceled]: unavailable,
  [Code.DeadlineExceeded]: deadline,
};
