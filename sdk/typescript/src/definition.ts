/**
 * What a task is called, takes and gives: written once, shared by those who submit it and the workers that run it.
 *
 * Types alone are a promise. With schemas they are checked: the input when it is submitted and before it is handled, the
 * output when it is returned and when it is read. Any library that follows https://standardschema.dev will do.
 */

import type { Client } from "./client/client.js";
import type { TaskHandle } from "./client/handle.js";
import type { CallOptions, TaskOptions } from "./client/models.js";
import type { TaskRequest } from "./client/requests.js";
import { InvalidArgument, SchemaMismatch } from "./errors.js";

/** The interface of https://standardschema.dev, which asks to be copied. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The types of a task. They differ where a schema converts: a date travels as text. */
export interface TaskTypes {
  /** What a submitter gives. */
  submitted: unknown;
  /** What the handler gets. */
  input: unknown;
  /** What the handler returns. */
  returned: unknown;
  /** What the submitter reads. */
  output: unknown;
}

/** A task's name, with its types and schemas. Made by `task`. */
export interface TaskDefinition<Types extends TaskTypes = TaskTypes> {
  readonly name: string;
  readonly input: StandardSchema<Types["submitted"], Types["input"]> | undefined;
  readonly output: StandardSchema<Types["returned"], Types["output"]> | undefined;
  /** Hand over one task; see `Client.submit`. */
  submit(
    client: Client,
    input: Types["submitted"],
    options?: TaskOptions & CallOptions,
  ): Promise<TaskHandle<Types["output"]>>;
  /** One task for `Client.submitMany`. */
  request(input: Types["submitted"], options?: TaskOptions): TaskRequest<Types["output"]>;
  /** A handle on a task that was submitted earlier or elsewhere; asks nothing of the server. */
  handle(client: Client, id: string): TaskHandle<Types["output"]>;
}

/** What a submitter of the task gives. */
export type SubmittedOf<Definition> = Definition extends TaskDefinition<infer Types> ? Types["submitted"] : never;
/** What a handler of the task gets. */
export type InputOf<Definition> = Definition extends TaskDefinition<infer Types> ? Types["input"] : never;
/** What a handler of the task returns. */
export type ReturnedOf<Definition> = Definition extends TaskDefinition<infer Types> ? Types["returned"] : never;
/** What a submitter of the task reads. */
export type OutputOf<Definition> = Definition extends TaskDefinition<infer Types> ? Types["output"] : never;

export interface Schemas<Submitted, Input, Returned, Output> {
  readonly input?: StandardSchema<Submitted, Input>;
  readonly output?: StandardSchema<Returned, Output>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Define a task: `task<{ town: string }, string>("town.greet")`, or with schemas
 * `task("town.greet", { input: z.object({ town: z.string() }), output: z.string() })`.
 */
export function task<Input = unknown, Output = unknown>(
  name: string,
): TaskDefinition<{ submitted: Input; input: Input; returned: Output; output: Output }>;
export function task<Submitted = unknown, Input = Submitted, Returned = unknown, Output = Returned>(
  name: string,
  schemas: Schemas<Submitted, Input, Returned, Output>,
): TaskDefinition<{ submitted: Submitted; input: Input; returned: Returned; output: Output }>;
export function task(name: string, schemas: Schemas<unknown, unknown, unknown, unknown> = {}): TaskDefinition {
  checkName(name);
  return Object.freeze(new Definition(name, schemas.input, schemas.output));
}

class Definition implements TaskDefinition {
  constructor(
    readonly name: string,
    readonly input: StandardSchema | undefined,
    readonly output: StandardSchema | undefined,
  ) {}

  submit(client: Client, input: unknown, options: TaskOptions & CallOptions = {}): Promise<TaskHandle> {
    return client.submit<TaskTypes>(this, input, options);
  }

  request(payload: unknown, options: TaskOptions = {}): TaskRequest {
    return { ...options, task: this, payload };
  }

  handle(client: Client, id: string): TaskHandle {
    return client.handle(id, this);
  }
}

/** Throws InvalidArgument for what is no name of a task. */
export function checkName(name: unknown): asserts name is string {
  if (typeof name === "string" && NAME.test(name)) return;
  throw InvalidArgument.of(
    "type",
    `has 1 to 128 letters, digits, '.', '_' and '-' and begins with a letter or digit, got ${JSON.stringify(name)}`,
  );
}

/** What the schema makes of a value; throws SchemaMismatch naming each part it refuses below `field`. */
export async function validated<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  field: string,
): Promise<Output> {
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) return result.value;
  throw new SchemaMismatch(
    result.issues.map(({ message, path }) => ({
      field: [field, ...(path ?? []).map(step)].join("."),
      description: message,
    })),
  );
}

function step(part: PropertyKey | { readonly key: PropertyKey }): string {
  return String(typeof part === "object" ? part.key : part);
}
