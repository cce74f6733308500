/** From a definition and its input to what travels, and from the result back to its output. */

import { randomUUID } from "node:crypto";

import { checkName, type TaskDefinition, validated } from "../definition.js";
import { InvalidArgument, TaskyardError } from "../errors.js";
import { type Parcel, parcel } from "./batches.js";
import { encode } from "./documents.js";
import type { ReadResult } from "./handle.js";
import type { TaskOptions } from "./models.js";
import { taskSpec } from "./specs.js";

/** A definition by what its submitter reads alone. */
export type DefinitionOf<Output> = TaskDefinition<{
  submitted: unknown;
  input: unknown;
  returned: unknown;
  output: Output;
}>;

/** One task for `submitMany`. A definition's `request` makes it, and checks the input's type. */
export interface TaskRequest<Output = unknown> extends TaskOptions {
  /** The task's definition, or its name alone. */
  readonly task: string | DefinitionOf<Output>;
  readonly payload?: unknown;
}

/** What travels of a request; throws InvalidArgument naming what cannot. */
export async function prepared(
  { task, payload, ...options }: TaskRequest,
  namespace: string,
  generateKeys: boolean,
): Promise<Parcel> {
  if (typeof task === "string") checkName(task);
  else if (task.input) await validated(task.input, payload, "payload");
  const name = typeof task === "string" ? task : task.name;
  const spec = taskSpec(name, encode(payload, "payload"), namespace, options);
  if (generateKeys && spec.idempotencyKey === "") spec.idempotencyKey = `sdk-${randomUUID()}`;
  return parcel(spec);
}

/** As `prepared`, with what is wrong as a value: one task's fault is not the others'. */
export async function preparedOrError(...request: Parameters<typeof prepared>): Promise<Parcel | TaskyardError> {
  try {
    return await prepared(...request);
  } catch (error) {
    if (error instanceof TaskyardError) return error;
    const refused = new InvalidArgument([], `the task can't be sent: ${String(error)}`);
    refused.cause = error;
    return refused;
  }
}

/** How a task's result is read: through its schema, where it has one. */
export function reading<Output>(task: string | DefinitionOf<Output>): ReadResult<Output> {
  const schema = typeof task === "string" ? undefined : task.output;
  return schema ? (result) => validated(schema, result, "result") : (result) => result as Output;
}
