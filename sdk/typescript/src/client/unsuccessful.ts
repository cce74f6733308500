/** A task that is over and has no result. */

import { TaskyardError } from "../errors.js";
import type { Task, TaskError } from "./models.js";

/** What a handler threw, as far as it travels: `name` is the error's type, `stack` the handler's. */
export class HandlerError extends Error {
  override readonly name: string;

  constructor({ type, message, stack }: TaskError) {
    super(message);
    this.name = type;
    if (stack) this.stack = stack;
  }
}

/** The task is over and has no result. */
export class TaskUnsuccessful extends TaskyardError {
  /** The task as it ended. */
  readonly task: Task;
  /** The stable word of what went wrong, e.g. `TIMEOUT` or the name of the error that the handler threw. */
  readonly type: string;

  constructor(task: Task) {
    const { error, state } = task;
    const ending = error ? `${state.toLowerCase()}: ${error.type}: ${error.message}` : state.toLowerCase();
    super(`task ${task.id} (${task.type}) ${ending}`, state, error && { cause: new HandlerError(error) });
    this.task = task;
    this.type = error?.type ?? state;
  }
}

/** The task used up its retries, or its handler said that another attempt cannot help. */
export class TaskFailed extends TaskUnsuccessful {
  /** Why the last attempt failed. */
  get error(): TaskError | undefined {
    return this.task.error;
  }
}

/** The task was cancelled. */
export class TaskCancelled extends TaskUnsuccessful {}

/** The task was not started by its `expiresAt`. */
export class TaskExpired extends TaskUnsuccessful {}
