/**
 * From what a caller asks for to the wire's messages. Only what cannot be expressed is refused here, naming the field;
 * all rules about values are the server's.
 */
import { create } from "@bufbuild/protobuf";
import { InvalidArgument } from "../errors.js";
import * as wire from "../gen/task_pb.js";
import { type TaskFilter, TaskFilterSchema } from "../gen/task_service_pb.js";
import { numberOf } from "./messages.js";
import type * as models from "./models.js";
import { duration, timestamp } from "./times.js";

/** What goes over the wire for one task; throws `InvalidArgument` naming the field that cannot be sent. */
export function taskSpec(
  type: string,
  payload: Uint8Array,
  namespace: string,
  options: models.TaskOptions,
): wire.TaskSpec {
  const spec = create(wire.TaskSpecSchema, { type: text("type", type), payload, namespace });
  const { queue, priority, selector, idempotencyKey, dependsOn } = options;
  if (queue !== undefined) spec.queue = text("queue", queue);
  if (priority !== undefined) spec.priority = int32("priority", priority);
  if (selector !== undefined) spec.selector = text("selector", selector);
  if (idempotencyKey !== undefined) spec.idempotencyKey = key(idempotencyKey);
  if (dependsOn !== undefined) spec.dependsOn = dependsOn.map((id) => text("depends_on", id));
  setTimes(spec, options);
  return spec;
}

function setTimes(spec: wire.TaskSpec, { delay, runAt, expiresAt, timeout, retry }: models.TaskOptions): void {
  if (delay !== undefined) spec.delay = duration("delay", delay);
  if (runAt !== undefined) spec.runAt = timestamp("run_at", runAt);
  if (expiresAt !== undefined) spec.expiresAt = timestamp("expires_at", expiresAt);
  if (timeout !== undefined) spec.timeout = duration("timeout", timeout);
  if (retry !== undefined) spec.retry = retryPolicy(retry);
}

function key(value: string): string {
  if (value === "") throw InvalidArgument.of("idempotency_key", "must not be empty; leave it out for none");
  return text("idempotency_key", value);
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** The value; throws `InvalidArgument` naming `field` if it is not text that UTF-8 can express. */
export function text(field: string, value: string): string {
  if (typeof value !== "string") throw InvalidArgument.of(field, `must be text, got ${typeof value}`);
  if (LONE_SURROGATE.test(value)) throw InvalidArgument.of(field, "is not text that UTF-8 can express");
  return value;
}

/** The value; throws `InvalidArgument` naming `field` if the wire has no room for it. */
function int32(field: string, value: number): number {
  if (!Number.isInteger(value) || Math.abs(value) > 0x7fffffff) {
    throw InvalidArgument.of(field, `must be an integer, got ${String(value)}`);
  }
  return value;
}

/** The value; throws `InvalidArgument` below 1, because the wire takes 0 for "left out". */
export function atLeastOne(field: string, value: number): number {
  if (int32(field, value) < 1) throw InvalidArgument.of(field, "must be at least 1");
  return value;
}

function number(field: string, value: number): number {
  if (typeof value !== "number") throw InvalidArgument.of(field, `must be a number, got ${typeof value}`);
  return value;
}

/** The message for a retry policy. */
export function retryPolicy(policy: models.RetryPolicy): wire.RetryPolicy {
  const { maxAttempts, initialBackoff, multiplier, maxBackoff, jitter } = policy;
  const message = create(wire.RetryPolicySchema);
  if (maxAttempts !== undefined) message.maxAttempts = int32("retry.max_attempts", maxAttempts);
  if (initialBackoff !== undefined) message.initialBackoff = duration("retry.initial_backoff", initialBackoff);
  if (multiplier !== undefined) message.multiplier = number("retry.multiplier", multiplier);
  if (maxBackoff !== undefined) message.maxBackoff = duration("retry.max_backoff", maxBackoff);
  if (jitter !== undefined) message.jitter = number("retry.jitter", jitter);
  return message;
}

/** The message for a filter within a namespace. */
export function taskFilter(wanted: models.TaskFilter, namespace: string): TaskFilter {
  const { queue = "", type = "", errorType = "", state } = wanted;
  const filter = create(TaskFilterSchema, {
    namespace,
    queue: text("queue", queue),
    type: text("type", type),
    errorType: text("error_type", errorType),
  });
  if (state !== undefined) {
    const number = numberOf(state);
    if (number === undefined) throw InvalidArgument.of("state", `${state} can't be asked for`);
    filter.state = number;
  }
  return filter;
}

const UUID = /^\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/;
const LONGEST_ID = 64; // more than any id has

/**
 * A task's id as servers write it, since answers are told apart by it; throws `InvalidArgument` if it would spoil the
 * stream that waits for other tasks share. Other text that is no UUID is left to the server to refuse.
 */
export function taskId(value: string): string {
  const lower = text("id", value).toLowerCase();
  const parts = UUID.exec(lower);
  if (parts) return parts.slice(1).join("-");
  if (value.length > LONGEST_ID || !/^\p{ASCII}*$/u.test(value)) {
    throw InvalidArgument.of("id", `${JSON.stringify(value.slice(0, 80))} is not a UUID`);
  }
  return lower;
}
