/** A function registered for a task. */

import type { InputOf, ReturnedOf, TaskDefinition } from "../definition.js";
import type { Context } from "./context.js";
import type { ErrorClass } from "./outcome.js";

/** Runs an attempt; what it returns is the result, what it throws the error. */
export type Handler<Definition extends TaskDefinition> = (
  context: Context,
  input: InputOf<Definition>,
) => ReturnedOf<Definition> | Promise<ReturnedOf<Definition>>;

export interface HandlerOptions {
  /** Errors that another attempt cannot help, beside `NonRetryable`. */
  readonly nonRetryable?: readonly ErrorClass[];
}

/** What is known about a task type here. */
export interface Registration {
  readonly definition: TaskDefinition;
  readonly nonRetryable: readonly ErrorClass[];
  /** A function of this thread, or a module whose default export is one, for threads of their own. */
  readonly run: ((context: Context, input: unknown) => unknown) | URL;
}
