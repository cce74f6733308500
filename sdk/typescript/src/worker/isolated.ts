/** A handler that is the default export of a module of its own. */

import type { TaskDefinition } from "../definition.js";
import type { Context } from "./context.js";
import type { Handler, HandlerOptions } from "./handler.js";
import type { ErrorClass } from "./outcome.js";

const ISOLATED = Symbol.for("taskyard.isolated");

/** What a module for `worker.isolated` exports as its default. */
export interface IsolatedModule {
  readonly definition: TaskDefinition;
  readonly handler: (context: Context, input: unknown) => unknown;
  readonly nonRetryable: readonly ErrorClass[];
}

/**
 * Define the handler of a module for `worker.isolated`, with the types and schemas of its task:
 * `export default isolated(resize, (context, input) => …)`.
 */
export function isolated<Definition extends TaskDefinition>(
  definition: Definition,
  handler: Handler<Definition>,
  { nonRetryable = [] }: HandlerOptions = {},
): IsolatedModule {
  return { [ISOLATED]: true, definition, handler, nonRetryable } as IsolatedModule;
}

export function isIsolated(found: unknown): found is IsolatedModule {
  return typeof found === "object" && found !== null && ISOLATED in found;
}
