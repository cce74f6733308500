export { Client } from "./client.js";
export { TaskHandle } from "./handle.js";
export {
  isTerminal,
  type Affected,
  type Attempt,
  type AttemptOutcome,
  type BulkOptions,
  type CallOptions,
  type Cluster,
  type Dispatcher,
  type Leader,
  type ListOptions,
  type Progress,
  type Queue,
  type RetryPolicy,
  type Task,
  type TaskError,
  type TaskFilter,
  type TaskOptions,
  type TaskState,
  type WaitOptions,
  type WorkerInfo,
} from "./models.js";
export type { Addresses, ClientOptions } from "./options.js";
export type { TaskRequest } from "./requests.js";
export { HandlerError, TaskCancelled, TaskExpired, TaskFailed, TaskUnsuccessful } from "./unsuccessful.js";
