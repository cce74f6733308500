/** The scheduler's API over tasks in memory: what clients ask of tasks. */

import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";

import { ErrorInfoSchema } from "../gen/error_details_pb.js";
import { type Task, TaskSchema, type TaskSpec, TaskState } from "../gen/task_pb.js";
import type { TaskFilter, TaskService, WatchTasksRequest, WatchTasksResponseSchema } from "../gen/task_service_pb.js";
import type { Engine } from "./engine.js";
import { isOver, type Entry } from "./entries.js";

const FIRST_IDS = 100;

type Verbs = Partial<ServiceImpl<typeof TaskService>>;

export function taskService(engine: Engine): Verbs {
  return {
    submitTasks: ({ tasks }) => ({ results: tasks.map((spec) => submit(engine, spec)) }),
    getTask: ({ id }) => shown(found(engine, id)),
    listTasks: ({ filter }) => ({ tasks: fitting(engine, filter).map(shown).reverse() }),
    watchTasks: (request, context) => watch(engine, request, context),
    cancelTask: ({ id }) => cancel(engine, found(engine, id)),
    redriveTask: ({ id }) => redriven(engine, found(engine, id)),
    redriveTasks: ({ filter, limit, dryRun }) =>
      affect(failed(engine, filter), limit, dryRun, (entry) => {
        engine.redrive(entry);
      }),
    purgeTasks: ({ filter, limit, dryRun }) =>
      affect(failed(engine, filter), limit, dryRun, ({ task }) => {
        engine.entries.delete(task.id);
      }),
    listAttempts: ({ taskId }) => ({ attempts: found(engine, taskId).attempts }),
  };
}

function shown({ task }: Entry): Task {
  return clone(TaskSchema, task);
}

function found(engine: Engine, id: string): Entry {
  const entry = engine.entries.get(id);
  if (!entry) throw refusal(Code.NotFound, "NOT_FOUND", `no task has the id ${id}`);
  return entry;
}

function refusal(
  code: Code,
  reason: string,
  message: string,
  metadata: Readonly<Record<string, string>> = {},
): ConnectError {
  const value = { reason, domain: "taskyard", metadata };
  return new ConnectError(message, code, undefined, [{ desc: ErrorInfoSchema, value }]);
}

function submit(engine: Engine, spec: TaskSpec): object {
  const known = spec.idempotencyKey === "" ? undefined : keyed(engine, spec);
  if (known && !same(known.spec, spec)) {
    const [reason, message] = ["IDEMPOTENCY_CONFLICT", "idempotency_key: belongs to another task"];
    return { outcome: { case: "error", value: { reason, message, field: "idempotency_key", taskId: known.task.id } } };
  }
  const { id, state } = (known ?? engine.accept(spec)).task;
  return { outcome: { case: "task", value: create(TaskSchema, { id, state }) }, deduplicated: known !== undefined };
}

function keyed(engine: Engine, { namespace, idempotencyKey }: TaskSpec): Entry | undefined {
  return [...engine.entries.values()].find(
    ({ task }) => task.idempotencyKey === idempotencyKey && task.namespace === namespace,
  );
}

function same(one: TaskSpec, other: TaskSpec): boolean {
  const compared = ({ type, queue, payload, priority, selector }: TaskSpec): string =>
    JSON.stringify([type, queue, Buffer.from(payload).toString(), priority, selector]);
  return compared(one) === compared(other);
}

function fitting(engine: Engine, filter: TaskFilter | undefined): Entry[] {
  return [...engine.entries.values()].filter(({ task }) => {
    if (!filter) return true;
    const { namespace, queue, type, state, errorType } = filter;
    const wanted = [
      [namespace, task.namespace],
      [queue, task.queue],
      [type, task.type],
      [errorType, task.error?.type],
    ];
    const stateFits = state === TaskState.UNSPECIFIED || state === task.state;
    return stateFits && wanted.every(([asked, is]) => asked === "" || asked === is);
  });
}

function failed(engine: Engine, filter: TaskFilter | undefined): Entry[] {
  return fitting(engine, filter).filter(({ task }) => task.state === TaskState.FAILED);
}

function affect(entries: Entry[], limit: number, dryRun: boolean, effect: (entry: Entry) => void): object {
  const chosen = entries.slice(0, limit);
  const ids = chosen.map(({ task }) => task.id).slice(0, FIRST_IDS);
  if (!dryRun) chosen.forEach(effect);
  return { count: chosen.length, ids };
}

function cancel(engine: Engine, entry: Entry): Task {
  if (isOver(entry) && entry.task.state !== TaskState.CANCELLED) throw wrongState(entry);
  if (!isOver(entry)) engine.cancel(entry);
  return shown(entry);
}

function redriven(engine: Engine, entry: Entry): Task {
  if (entry.task.state !== TaskState.FAILED) throw wrongState(entry);
  engine.redrive(entry);
  return shown(entry);
}

function wrongState({ task }: Entry): ConnectError {
  const state = TaskState[task.state];
  return refusal(Code.FailedPrecondition, "FAILED_PRECONDITION", `the task is ${state}`, { state });
}

async function* watch(
  engine: Engine,
  { ids }: WatchTasksRequest,
  { signal }: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof WatchTasksResponseSchema>> {
  const unknownIds = ids.filter((id) => !engine.entries.has(id));
  if (unknownIds.length > 0) yield { unknownIds };
  const open = new Set(ids.filter((id) => engine.entries.has(id)));
  while (open.size > 0 && !signal.aborted) {
    const watched = [...open].map((id) => engine.entries.get(id)).filter((entry) => entry !== undefined);
    const over = watched.filter(isOver);
    for (const { task } of over) open.delete(task.id);
    if (over.length > 0) yield { tasks: over.map(shown) };
    else await next(engine, watched, signal);
  }
}

/** Waiting for a task lets the time pass that it waits for. */
async function next(engine: Engine, watched: readonly Entry[], signal: AbortSignal): Promise<void> {
  const waits = watched.find(({ task }) => task.state === TaskState.SCHEDULED);
  if (waits) await engine.passFor(waits);
  else await engine.changed(signal);
}
