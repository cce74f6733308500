/** From the wire's messages to the public models. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type * as cluster from "../gen/cluster_service_pb.js";
import type * as queues from "../gen/queue_service_pb.js";
import * as wire from "../gen/task_pb.js";
import { decode } from "./documents.js";
import type * as models from "./models.js";
import { date, milliseconds } from "./times.js";

/** The model of a task. */
export function task(message: wire.Task): models.Task {
  const state = stateOf(message.state);
  return {
    id: message.id,
    namespace: message.namespace,
    queue: message.queue,
    type: message.type,
    payload: decode(message.payload, "payload"),
    priority: message.priority,
    selector: message.selector,
    state,
    attempt: message.attempt,
    failures: message.failures,
    crashes: message.crashes,
    idempotencyKey: message.idempotencyKey,
    runAt: moment(message.runAt),
    expiresAt: moment(message.expiresAt),
    timeout: message.timeout && milliseconds(message.timeout),
    retry: message.retry && retryPolicy(message.retry),
    dependsOn: message.dependsOn,
    result: state === "SUCCEEDED" ? decode(message.result, "result") : undefined,
    error: message.error && taskError(message.error),
    createdAt: moment(message.createdAt),
    startedAt: moment(message.startedAt),
    finishedAt: moment(message.finishedAt),
    worker: message.worker,
    traceparent: message.traceparent,
    cancelRequested: message.cancelRequested,
    progress: message.progress && { fraction: message.progress.fraction, message: message.progress.message },
  };
}

const STATES: readonly (readonly [wire.TaskState, models.TaskState])[] = [
  [wire.TaskState.SCHEDULED, "SCHEDULED"],
  [wire.TaskState.BLOCKED, "BLOCKED"],
  [wire.TaskState.QUEUED, "QUEUED"],
  [wire.TaskState.RUNNING, "RUNNING"],
  [wire.TaskState.SUCCEEDED, "SUCCEEDED"],
  [wire.TaskState.FAILED, "FAILED"],
  [wire.TaskState.CANCELLED, "CANCELLED"],
  [wire.TaskState.EXPIRED, "EXPIRED"],
];
const STATE_OF: ReadonlyMap<wire.TaskState, models.TaskState> = new Map(STATES);
const NUMBER_OF: ReadonlyMap<models.TaskState, wire.TaskState> = new Map(
  STATES.map(([number, name]) => [name, number]),
);

const OUTCOMES: Readonly<Record<number, models.AttemptOutcome>> = {
  [wire.AttemptOutcome.SUCCEEDED]: "SUCCEEDED",
  [wire.AttemptOutcome.FAILED]: "FAILED",
  [wire.AttemptOutcome.CRASHED]: "CRASHED",
  [wire.AttemptOutcome.RELEASED]: "RELEASED",
  [wire.AttemptOutcome.CANCELLED]: "CANCELLED",
  [wire.AttemptOutcome.TIMED_OUT]: "TIMED_OUT",
};

/** The state with this number on the wire. */
export function stateOf(state: wire.TaskState): models.TaskState {
  return STATE_OF.get(state) ?? "UNKNOWN";
}

/** The number of a state on the wire; undefined for one that cannot be asked for. */
export function numberOf(state: models.TaskState): wire.TaskState | undefined {
  return NUMBER_OF.get(state);
}

/** The model of one run. */
export function attempt(message: wire.Attempt): models.Attempt {
  return {
    taskId: message.taskId,
    attempt: message.attempt,
    sessionId: message.sessionId,
    worker: message.worker,
    pod: message.pod,
    dispatcher: message.dispatcher,
    startedAt: moment(message.startedAt),
    finishedAt: moment(message.finishedAt),
    outcome: message.outcome === wire.AttemptOutcome.UNSPECIFIED ? undefined : (OUTCOMES[message.outcome] ?? "UNKNOWN"),
    error: message.error && taskError(message.error),
  };
}

/** The model of a queue. */
export function queue(message: queues.Queue): models.Queue {
  return {
    namespace: message.namespace,
    name: message.name,
    scheduled: Number(message.scheduled),
    blocked: Number(message.blocked),
    queued: Number(message.queued),
    running: Number(message.running),
    failed: Number(message.failed),
    oldestAge: message.oldestAge && milliseconds(message.oldestAge),
    retry: message.retry && retryPolicy(message.retry),
    maxBacklog: Number(message.maxBacklog),
  };
}

/** The model of a connected worker. */
export function worker(message: cluster.Worker): models.WorkerInfo {
  return {
    sessionId: message.sessionId,
    name: message.name,
    namespace: message.namespace,
    labels: message.labels,
    queues: message.queues,
    types: message.types,
    slots: message.slots,
    running: message.running,
    pod: message.pod,
    dispatcher: message.dispatcher,
    sdk: message.sdk,
    pid: Number(message.pid),
    connectedAt: moment(message.connectedAt),
    draining: message.draining,
  };
}

/** The model of the cluster's members. */
export function clusterOf(message: cluster.Cluster): models.Cluster {
  const { version, leader, dispatchers } = message;
  return {
    version,
    leader: leader && { id: leader.id, term: Number(leader.term), pid: Number(leader.pid), pod: leader.pod },
    dispatchers: dispatchers.map(dispatcher),
  };
}

function dispatcher(message: cluster.Dispatcher): models.Dispatcher {
  return {
    id: message.id,
    pid: Number(message.pid),
    pod: message.pod,
    sessionAddress: message.sessionAddress,
    httpAddress: message.httpAddress,
    version: message.version,
    leader: message.leader,
    startedAt: moment(message.startedAt),
  };
}

function retryPolicy(message: wire.RetryPolicy): models.RetryPolicy {
  return {
    maxAttempts: message.maxAttempts,
    initialBackoff: message.initialBackoff && milliseconds(message.initialBackoff),
    multiplier: message.multiplier,
    maxBackoff: message.maxBackoff && milliseconds(message.maxBackoff),
    jitter: message.jitter,
  };
}

function taskError({ type, message, stack, retryable }: wire.TaskError): models.TaskError {
  return { type, message, stack, retryable };
}

function moment(at: Timestamp | undefined): Date | undefined {
  return at && date(at);
}
