/** Tasks in memory, and what becomes of them. */

import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";

import { milliseconds } from "../client/times.js";
import {
  type Attempt,
  AttemptOutcome,
  AttemptSchema,
  type Task,
  TaskErrorSchema,
  TaskSchema,
  type TaskSpec,
  TaskState,
} from "../gen/task_pb.js";
import type { Failure } from "../worker/outcome.js";

/** A task with its runs. */
export interface Entry {
  readonly task: Task;
  readonly attempts: Attempt[];
  readonly spec: TaskSpec;
}

const DEFAULTS = { maxAttempts: 3, initialBackoff: 1_000, multiplier: 2, maxBackoff: 300_000 };

/** A task as it is accepted. */
export function accepted(id: string, spec: TaskSpec, now: number): Entry {
  const runAt = spec.runAt ?? timestampFromMs(now + (spec.delay ? milliseconds(spec.delay) : 0));
  const { namespace, queue, type, payload, selector, idempotencyKey, traceparent, dependsOn } = spec;
  const text = { namespace, queue, type, payload, selector, idempotencyKey, traceparent, dependsOn };
  const task = create(TaskSchema, {
    ...text,
    id,
    runAt,
    createdAt: timestampFromMs(now),
    priority: spec.priority ?? 5,
  });
  const { expiresAt, timeout, retry } = spec;
  Object.assign(task, { ...(expiresAt && { expiresAt }), ...(timeout && { timeout }), ...(retry && { retry }) });
  task.queue ||= "default";
  task.state = timestampMs(runAt) > now ? TaskState.SCHEDULED : TaskState.QUEUED;
  return { task, attempts: [], spec };
}

export function isOver({ task }: Entry): boolean {
  return task.state >= TaskState.SUCCEEDED;
}

/** A worker begins to run it. */
export function claim({ task, attempts }: Entry, now: number): void {
  task.state = TaskState.RUNNING;
  task.attempt += 1;
  task.worker = "test";
  delete task.progress;
  task.startedAt = timestampFromMs(now);
  const { id: taskId, attempt, worker, startedAt } = task;
  attempts.push(create(AttemptSchema, { taskId, attempt, worker, startedAt }));
}

export function succeed(entry: Entry, result: string, now: number): void {
  entry.task.result = Buffer.from(result);
  concluded(entry, AttemptOutcome.SUCCEEDED, undefined, now);
  ended(entry, TaskState.SUCCEEDED, now);
}

/** The handler failed: the task waits for its next try, or has failed. */
export function fail(entry: Entry, failure: Failure, now: number): void {
  const { task } = entry;
  task.failures += 1;
  task.error = create(TaskErrorSchema, failure);
  const outcome = failure.type === "TIMEOUT" ? AttemptOutcome.TIMED_OUT : AttemptOutcome.FAILED;
  concluded(entry, outcome, failure, now);
  if (task.cancelRequested) ended(entry, TaskState.CANCELLED, now);
  else if (!failure.retryable || task.failures >= (task.retry?.maxAttempts ?? DEFAULTS.maxAttempts)) {
    ended(entry, TaskState.FAILED, now);
  } else {
    task.state = TaskState.SCHEDULED;
    task.runAt = timestampFromMs(now + backoff(task));
  }
}

/** Milliseconds until the next try. Without jitter, so that tests can count on it. */
function backoff({ retry, failures }: Task): number {
  const initial = retry?.initialBackoff ? milliseconds(retry.initialBackoff) : DEFAULTS.initialBackoff;
  const most = retry?.maxBackoff ? milliseconds(retry.maxBackoff) : DEFAULTS.maxBackoff;
  return Math.min(initial * (retry?.multiplier ?? DEFAULTS.multiplier) ** (failures - 1), most);
}

/** A task that runs is asked to stop, any other has ended. */
export function cancel(entry: Entry, now: number): void {
  if (entry.task.state === TaskState.RUNNING) entry.task.cancelRequested = true;
  else ended(entry, TaskState.CANCELLED, now);
}

/** The handler stopped, as it was asked to. */
export function cancelled(entry: Entry, now: number): void {
  concluded(entry, AttemptOutcome.CANCELLED, undefined, now);
  ended(entry, TaskState.CANCELLED, now);
}

export function expire(entry: Entry, now: number): void {
  ended(entry, TaskState.EXPIRED, now);
}

/** A FAILED task is queued again with fresh budgets. */
export function redrive({ task }: Entry, now: number): void {
  task.state = TaskState.QUEUED;
  task.failures = 0;
  task.runAt = timestampFromMs(now);
  delete task.error;
  delete task.finishedAt;
}

function concluded({ attempts }: Entry, outcome: AttemptOutcome, failure: Failure | undefined, now: number): void {
  const attempt = attempts.at(-1);
  if (!attempt) return;
  attempt.outcome = outcome;
  attempt.finishedAt = timestampFromMs(now);
  if (failure) attempt.error = create(TaskErrorSchema, failure);
}

function ended({ task }: Entry, state: TaskState, now: number): void {
  task.state = state;
  task.finishedAt = timestampFromMs(now);
}
