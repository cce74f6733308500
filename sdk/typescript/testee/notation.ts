/** Durations, times, tasks and errors as the conformance kit writes them. */

import {
  BacklogFull,
  DeadlineExceeded,
  HelloRefused,
  IdempotencyConflict,
  InvalidArgument,
  TaskUnsuccessful,
  TaskyardError,
  Unavailable,
} from "@taskyard/sdk";

export type Fields = Readonly<Record<string, unknown>>;

/** The SDK can't. */
export class Unsupported extends Error {}

/** The SDK refuses a worker's settings. */
export class Refusal extends Error {}

/** Milliseconds of "0.5s". */
export function milliseconds(text: string): number {
  return Number(text.slice(0, -1)) * 1000;
}

/** "0.5s" of milliseconds. */
export function duration(length: number): string {
  return `${Number((length / 1000).toFixed(9))}s`;
}

/** A value of the SDK's as JSON with names in snake_case, without what is undefined. Payloads and results stay. */
export function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const known = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(known.map(([name, part]) => [snake(name), field(name, part)]));
}

const AS_IT_IS = new Set(["payload", "result", "labels"]);
const LENGTHS = new Set(["timeout", "initialBackoff", "maxBackoff", "oldestAge", "retryAfter"]);

function field(name: string, part: unknown): unknown {
  if (AS_IT_IS.has(name)) return part;
  return LENGTHS.has(name) && typeof part === "number" ? duration(part) : plain(part);
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** An error as a reply tells it. */
export function problem(error: unknown): Fields {
  const told: Record<string, unknown> = {
    kind: kind(error),
    message: error instanceof Error ? error.message : String(error),
  };
  if (error instanceof TaskyardError) told.reason = error.reason;
  if (error instanceof InvalidArgument) told.violations = error.violations;
  if (error instanceof IdempotencyConflict) told.task_id = error.taskId;
  if (error instanceof BacklogFull && error.retryAfter !== undefined) told.retry_after = duration(error.retryAfter);
  if (error instanceof Unavailable || error instanceof DeadlineExceeded) told.outcome_unknown = error.outcomeUnknown;
  if (error instanceof TaskUnsuccessful) told.task = plain(error.task);
  return told;
}

function kind(error: unknown): string {
  if (error instanceof Unsupported) return "Unsupported";
  if (error instanceof Refusal) return "Settings";
  if (error instanceof HelloRefused) return "Refused";
  if (error instanceof InvalidArgument) return "InvalidArgument";
  if (error instanceof TaskyardError) return error.name === "TaskyardError" ? "Other" : error.name;
  if (error instanceof Error && error.name === "AbortError") return "Aborted";
  // What the system says of a file that was named.
  return error instanceof Error && "syscall" in error ? "Settings" : "Other";
}
