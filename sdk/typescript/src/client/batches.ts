/** Submitting tasks in batches: how many go into one, and what becomes of each. */

import { toBinary } from "@bufbuild/protobuf";

import { InvalidArgument, ServerError, TaskyardError, Unavailable } from "../errors.js";
import { type TaskSpec, TaskSpecSchema } from "../gen/task_pb.js";
import type { SubmitResult } from "../gen/task_service_pb.js";
import type { Calls } from "./calls.js";
import { ofItem } from "./status.js";

export const MAX_TASKS = 1000;
/** Of the 4 MiB that the server takes, with room for what frames each task. */
export const MAX_BYTES = 4 * 1024 * 1024 - 64 * 1024;
const FRAME_BYTES = 8;
const BATCHES_AT_ONCE = 3;

/** A durable task. */
export interface Accepted {
  readonly id: string;
  /** Its idempotency key was known: this is the task that was submitted first. */
  readonly deduplicated: boolean;
}

export type Outcome = Accepted | TaskyardError;

/** A task that is ready to travel. */
export interface Parcel {
  readonly spec: TaskSpec;
  readonly bytes: number;
}

/** The task with its size; throws InvalidArgument if it is too large for any batch. */
export function parcel(spec: TaskSpec): Parcel {
  const bytes = toBinary(TaskSpecSchema, spec).length + FRAME_BYTES;
  if (bytes > MAX_BYTES) throw InvalidArgument.of("payload", `makes a task of ${bytes} bytes; too large to send`);
  return { spec, bytes };
}

/** The outcome of each, in order; what is an error already stays one. Parcels are drawn as they are sent. */
export async function submitAll(
  calls: Calls,
  parcels: Iterable<Promise<Parcel | TaskyardError>>,
  signal: AbortSignal | undefined,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const batches = split(parcels, outcomes);
  const lane = async (): Promise<void> => {
    for await (const { places, specs } of batches) {
      const answers = await submit(calls, specs, signal);
      answers.forEach((outcome, n) => (outcomes[places[n] ?? -1] = outcome));
    }
  };
  await Promise.all(Array.from({ length: BATCHES_AT_ONCE }, lane));
  return outcomes;
}

interface Batch {
  /** The place of each task among all outcomes. */
  readonly places: number[];
  readonly specs: TaskSpec[];
}

async function* split(
  parcels: Iterable<Promise<Parcel | TaskyardError>>,
  outcomes: Outcome[],
): AsyncGenerator<Batch, void, undefined> {
  let batch: Batch = { places: [], specs: [] };
  let room = MAX_BYTES;
  for (const drawn of parcels) {
    const place = outcomes.push(NOT_SENT) - 1;
    const parcel = await drawn;
    if (parcel instanceof TaskyardError) {
      outcomes[place] = parcel;
      continue;
    }
    if (batch.specs.length === MAX_TASKS || parcel.bytes > room) {
      yield batch;
      [batch, room] = [{ places: [], specs: [] }, MAX_BYTES];
    }
    batch.places.push(place);
    batch.specs.push(parcel.spec);
    room -= parcel.bytes;
  }
  if (batch.specs.length > 0) yield batch;
}

const NOT_SENT = new Unavailable("not sent");

/**
 * The outcome of each, in order. A call that fails is the outcome of all its tasks; only what an aborted signal throws
 * is thrown. When the answer is lost, only tasks with an idempotency key are sent again: the others might run twice.
 */
export async function submit(
  calls: Calls,
  specs: readonly TaskSpec[],
  signal: AbortSignal | undefined,
): Promise<Outcome[]> {
  const keyed = specs.filter((spec) => spec.idempotencyKey !== "");
  const repeatable = keyed.length === specs.length;
  try {
    return await send(calls, specs, repeatable, signal);
  } catch (error) {
    if (!(error instanceof TaskyardError)) throw error;
    const lost = error instanceof Unavailable && error.outcomeUnknown;
    if (repeatable || keyed.length === 0 || !lost) return specs.map(() => error);
    const again = (await submit(calls, keyed, signal)).values();
    return specs.map((spec) => (spec.idempotencyKey === "" ? error : (again.next().value ?? error)));
  }
}

async function send(
  calls: Calls,
  specs: readonly TaskSpec[],
  repeatable: boolean,
  signal: AbortSignal | undefined,
): Promise<Outcome[]> {
  const { results } = await calls.call(
    (scheduler, options) => scheduler.tasks.submitTasks({ tasks: [...specs], idsOnly: true }, options),
    { repeatable, signal },
  );
  if (results.length !== specs.length) {
    throw new ServerError(`the server answered ${results.length} of ${specs.length} tasks`);
  }
  return results.map(outcomeOf);
}

function outcomeOf({ outcome, deduplicated }: SubmitResult): Outcome {
  if (outcome.case === "task") return { id: outcome.value.id, deduplicated };
  if (outcome.case === "error") return ofItem(outcome.value);
  return new ServerError("the server answered neither a task nor an error");
}
