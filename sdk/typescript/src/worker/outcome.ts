/** From what a handler returned or threw to what is told of it. */

import { create, toBinary } from "@bufbuild/protobuf";

import { isNonRetryable, SchemaMismatch } from "../errors.js";
import { TaskErrorSchema } from "../gen/task_pb.js";
import { MAX_DEPTH, parse, stringify, tooDeep } from "../payload.js";
import { validated, type TaskDefinition } from "../definition.js";

export const MAX_RESULT_BYTES = 1024 * 1024;
const MAX_TYPE = 256;
const MAX_MESSAGE = 4096;
const MAX_STACK = 16_384;
const MAX_CAUSES = 8;

/** Why an attempt failed, as the scheduler keeps it. */
export interface Failure {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly retryable: boolean;
}

/** Classes of errors. */
export type ErrorClass = abstract new (...parameters: never[]) => Error;

/** A failure that goes by one of the words that all SDKs share. */
export class WordedFailure extends Error {
  constructor(
    readonly word: string,
    message: string,
    readonly retryable: boolean,
  ) {
    super(message);
    this.name = word;
  }
}

export const noHandler = (type: string): WordedFailure =>
  new WordedFailure("NO_HANDLER", `no handler for ${JSON.stringify(type)} here`, true);
export const outOfTime = (milliseconds: number): WordedFailure =>
  new WordedFailure("TIMEOUT", `the attempt ran out of time after ${(milliseconds / 1000).toFixed(3)} s`, true);
export const crashed = (how: string): WordedFailure => new WordedFailure("PROCESS_CRASHED", how, true);
export const panicked = (how: string): WordedFailure => new WordedFailure("PANIC", how, true);

/** A payload's value as the handler gets it; throws INVALID_PAYLOAD. */
export function readInput(definition: TaskDefinition, payload: string): unknown {
  let value;
  try {
    value = parse(payload);
  } catch (error) {
    throw new WordedFailure("INVALID_PAYLOAD", `the payload is not JSON: ${textOf(error)}`, false);
  }
  return definition.input === undefined ? value : checkedInput(definition.input, value);
}

async function checkedInput(schema: NonNullable<TaskDefinition["input"]>, value: unknown): Promise<unknown> {
  try {
    return await validated(schema, value, "payload");
  } catch (error) {
    throw error instanceof SchemaMismatch ? new WordedFailure("INVALID_PAYLOAD", error.message, false) : error;
  }
}

/** Check a handler's return value against its task's schema; throws INVALID_RESULT. */
export async function checkOutput(schema: NonNullable<TaskDefinition["output"]>, value: unknown): Promise<void> {
  try {
    await validated(schema, value, "result");
  } catch (error) {
    throw error instanceof SchemaMismatch ? new WordedFailure("INVALID_RESULT", error.message, false) : error;
  }
}

/** A handler's return value as JSON; throws what it fails with: another attempt would return the same. */
export function writeResult(value: unknown): string {
  let text;
  try {
    text = stringify(value);
  } catch (error) {
    throw new WordedFailure("RESULT_NOT_JSON", textOf(error), false);
  }
  // No text has more bytes than three times its length.
  if (text.length * 3 > MAX_RESULT_BYTES) checkSize(text);
  if (tooDeep(text)) {
    throw new WordedFailure("RESULT_TOO_DEEP", `the result is nested deeper than ${MAX_DEPTH} levels`, false);
  }
  return text;
}

function checkSize(text: string): void {
  const size = Buffer.byteLength(text);
  if (size <= MAX_RESULT_BYTES) return;
  const told = `the result is ${size} bytes of JSON; at most ${MAX_RESULT_BYTES} are kept`;
  throw new WordedFailure("RESULT_TOO_LARGE", told, false);
}

/** What was thrown, as the scheduler keeps it. Never throws: of an error whose own code fails, what can be told is told. */
export function describe(thrown: unknown, nonRetryable: readonly ErrorClass[] = []): Failure {
  const { type, retryable } = attempted(() => judged(thrown, nonRetryable), { type: "Error", retryable: true });
  return {
    type: cut(type, MAX_TYPE) || "Error",
    message: cut(textOf(thrown), MAX_MESSAGE),
    stack: attempted(() => stackOf(thrown).slice(-MAX_STACK), ""),
    retryable,
  };
}

/** A failure as the wire has it. */
export function encodeFailure(failure: Failure): Uint8Array {
  return toBinary(TaskErrorSchema, create(TaskErrorSchema, failure));
}

function judged(thrown: unknown, nonRetryable: readonly ErrorClass[]): { type: string; retryable: boolean } {
  if (thrown instanceof WordedFailure) return { type: thrown.word, retryable: thrown.retryable };
  // Whoever throws what is no error did not mean to tell one.
  if (!(thrown instanceof Error)) return { type: "PANIC", retryable: true };
  const final = isNonRetryable(thrown) || nonRetryable.some((kind) => thrown instanceof kind);
  // Classes of one's own seldom set a name.
  const type = thrown.name === "Error" ? thrown.constructor.name : thrown.name;
  return { type, retryable: !final };
}

/** An error's message, or what else there is to say of what was thrown. */
export function textOf(thrown: unknown): string {
  return attempted(() => String(thrown instanceof Error ? thrown.message : thrown).toWellFormed(), "");
}

function stackOf(thrown: unknown): string {
  const parts: string[] = [];
  let error = thrown;
  for (let depth = 0; error instanceof Error && depth < MAX_CAUSES; depth++) {
    parts.push(error.stack ?? String(error));
    error = error.cause;
  }
  return parts.join("\ncaused by: ").toWellFormed();
}

function cut(text: string, most: number): string {
  return text.length <= most
    ? text
    : `${Array.from(text.slice(0, 2 * most))
        .slice(0, most - 1)
        .join("")}…`;
}

function attempted<Told>(tell: () => Told, otherwise: Told): Told {
  try {
    return tell();
  } catch {
    return otherwise;
  }
}
